"""Connecting to a server: whatever goes wrong is one message, which says what to do."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE_S
from xreid.core.errors import ConfigError, DataError
from xreid.retrieval import gallery_connection
from xreid.retrieval.gallery import Gallery

pytest.importorskip("pymilvus", reason="the extra gallery is not installed")


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """HOST:PORT of something that answers with words that are neither gRPC nor TLS."""
    monkeypatch.setattr(gallery_connection, "_TIMEOUT_S", 0.5)  # for the client, which waits that long
    for name in ("tls_fault", "_listens"):
        monkeypatch.setattr(
            gallery_connection, name, _patient(getattr(gallery_connection, name), monkeypatch)
        )
    monkeypatch.delenv(gallery_connection.CA, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    one, _ = listening.accept()
                except OSError:
                    return
                with one, suppress(OSError):
                    one.sendall(b"220 welcome\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def _patient(function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The function, which gives who answers slowly the time to do so."""

    def patient(*arguments: Any) -> Any:
        monkeypatch.setattr(gallery_connection, "_TIMEOUT_S", PATIENCE_S)
        return function(*arguments)

    return patient


def test_who_is_no_milvus_server_lets_nobody_in(stranger: str) -> None:
    with pytest.raises(DataError, match=rf"http://{stranger} lets nobody in.*XREID_MILVUS_TOKEN"):
        Gallery.open(f"http://{stranger}/x")


def test_who_speaks_no_tls_is_told_so(stranger: str) -> None:
    with pytest.raises(DataError, match=rf"no secure connection to https://{stranger}.*does not speak TLS"):
        Gallery.open(f"https://{stranger}/x")


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_certificate_that_is_none(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv(gallery_connection.CA, str(path))
    with pytest.raises(ConfigError, match=r"XREID_MILVUS_CA names no certificate.*ca\.pem"):
        Gallery.open("https://127.0.0.1:9/x")


def test_the_certificate_is_what_the_client_checks_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pymilvus takes `ca_pem_path` only with a certificate of the client's own, and ignores it else."""
    monkeypatch.setattr(gallery_connection.ssl, "create_default_context", lambda cafile: None)
    monkeypatch.setenv(gallery_connection.CA, "ca.pem")
    assert gallery_connection._certificate() == {"server_pem_path": "ca.pem"}
