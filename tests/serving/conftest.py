"""A served world: in memory for the API, on a port for browsers and for clients that misbehave."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.serving.world import config_of, write_world
from tests.waiting import PATIENCE_S
from xreid.serving.app import create_app
from xreid.serving.config import ServeConfig
from xreid.serving.site import Site
from xreid.serving.tokens import add_token

Open = Callable[..., TestClient]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where only the report is seen, it tells what the page of a test that failed showed."""
    report = yield
    browsing = sys.modules.get("tests.serving.browsing")
    if call.when == "call" and call.excinfo is not None and browsing is not None:
        stopped = isinstance(call.excinfo.value, pytest.fail.Exception)  # by pytest-timeout: it may hang
        report.sections += [("the page", text) for text in browsing.leave(ask=not stopped)]
    return report


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for all tests of a file; each makes a context of its own."""
    from tests.serving.browsing import browser

    with browser() as launched:
        yield launched


@pytest.fixture(scope="module")
def full(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all tests of a file that leave the gallery as it is: calibrated, graph, recordings."""
    from tests.serving.browsing import write_full_world

    folder = tmp_path_factory.mktemp("full")
    running, stop = begin(config_of(made_world, folder / "state", **write_full_world(made_world, folder)))
    yield running
    stop()


@pytest.fixture(scope="session")
def made_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(made_world: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(made_world / "gallery", tmp_path / "gallery")
    for name in ("model", "imports", "tracklets"):
        (tmp_path / name).symlink_to(made_world / name)
    return tmp_path


@pytest.fixture
def opened(world: Path) -> Iterator[Open]:
    """Opens clients of servers over the world; each closes at the end of the test."""
    clients: list[TestClient] = []

    def open_client(**values: object) -> TestClient:
        config = config_of(world, world / f"state{len(clients)}", **values)
        client = TestClient(
            create_app(Site.open(config)), base_url="http://localhost", raise_server_exceptions=False
        )
        client.__enter__()
        clients.append(client)
        return client

    yield open_client
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(opened: Open) -> TestClient:
    return opened()


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """A token file, and one token of each role."""

    file: Path
    viewer: str
    operator: str
    admin: str

    def header(self, role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {getattr(self, role)}"}


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    file = tmp_path / "tokens.json"
    made = {role: add_token(file, role=role, name=f"{role}-1") for role in ("viewer", "operator", "admin")}
    return Tokens(file=file, **made)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server on a port."""

    port: int
    site: Site

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def begin(config: ServeConfig) -> tuple[Running, Callable[[], None]]:
    """A server in a thread, as `xreid serve` makes it, and what stops it."""
    from xreid.serving.server import server

    site = Site.open(config)
    runner = server(config, site)
    runner.config.host, runner.config.port = "127.0.0.1", 0
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    while not runner.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)

    def stop() -> None:
        runner.should_exit = True
        thread.join(timeout=PATIENCE_S)

    return Running(port=runner.servers[0].sockets[0].getsockname()[1], site=site), stop


@pytest.fixture
def run_server(world: Path) -> Iterator[Callable[..., Running]]:
    """Starts servers on a port; they stop at the end of the test."""
    stops: list[Callable[[], None]] = []

    def start(**values: object) -> Running:
        running, stop = begin(config_of(world, world / f"running{len(stops)}", **values))
        stops.append(stop)
        return running

    yield start
    for stop in stops:
        stop()


@pytest.fixture
def first(client: TestClient) -> dict[str, object]:
    """The first tracklet of the gallery."""
    found: dict[str, object] = client.get("/api/v1/tracklets?limit=1").json()["items"][0]
    return found
