"""A checkpoint's folder is a hub repository: had from cache or hub, pushed where its licence allows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, LocalTokenNotFoundError

import xreid
from tests.inference.small import write_model
from xreid.core.errors import CheckpointError, ConfigError
from xreid.data.names import SIMULATION_LICENCE
from xreid.inference import hub
from xreid.inference.checkpoint import LoadedModel, save_checkpoint


@dataclass
class FakeHub:
    """In the place of HfApi: keeps what it is given."""

    failure: Exception | None = None
    created: list[tuple[str, bool]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    tokens: list[str | None] = field(default_factory=list)

    def __call__(self, *, token: str | None, **_: str) -> FakeHub:
        self.tokens.append(token)
        return self

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        assert exist_ok
        if self.failure is not None:
            raise self.failure
        self.created.append((repo_id, private))

    def create_commit(
        self, repo_id: str, *, operations: Sequence[Any], commit_message: str
    ) -> SimpleNamespace:
        assert commit_message.startswith("xreid checkpoint")
        for one in operations:
            with one.as_file() as file:
                self.files[one.path_in_repo] = file.read()
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    api = FakeHub()
    monkeypatch.setattr(huggingface_hub, "HfApi", api)
    monkeypatch.setattr(hub, "hub_answers", lambda: True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return api


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub's client."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put_in_cache(cache: Path, name: str, folder: Path) -> None:
    """Lay a folder down as the hub's client does."""
    commit = "c" * 40
    repository = cache / ("models--" + name.replace("/", "--"))
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)


def free(folder: Path) -> LoadedModel:
    """A checkpoint that says it was trained on simulated people."""
    model = write_model(folder)
    provenance = {"data": {"identities": 3, "identities_left_out": ["d"]}}
    checkpoint = replace(model.checkpoint, licence=SIMULATION_LICENCE, provenance=provenance)
    save_checkpoint(folder, model.network, checkpoint)
    return model


def test_a_folder_or_a_run(tmp_path: Path) -> None:
    model = write_model(tmp_path / "run" / "checkpoint")
    for name in (tmp_path / "run", str(tmp_path / "run" / "checkpoint")):
        assert xreid.from_pretrained(name).sha256 == model.sha256
    with pytest.raises(ConfigError, match="has no revision v1"):
        xreid.from_pretrained(tmp_path / "run", revision="v1")


def test_the_cache_comes_first(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(tmp_path / "model")
    put_in_cache(cache, "somebody/model", tmp_path / "model")
    monkeypatch.setattr(hub, "hub_answers", lambda: pytest.fail("asked the network"))
    found = xreid.from_pretrained("somebody/model")
    assert found.sha256 == model.sha256
    clips = torch.rand(2, 3, 3, *model.network.config.frame_size)
    assert torch.equal(found.network.embed(clips), model.network.embed(clips))
    with pytest.raises(CheckpointError, match="the hub is not reachable"):
        xreid.from_pretrained("somebody/model", refresh=True)


def test_half_of_it_in_the_cache_is_not_it(
    tmp_path: Path, cache: Path, fake: FakeHub, monkeypatch: Any
) -> None:
    write_model(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").rename(tmp_path / "weights")
    put_in_cache(cache, "somebody/model", tmp_path / "model")
    (tmp_path / "weights").rename(tmp_path / "model" / "model.safetensors")
    asked = []

    def download(name: str, *, local_files_only: bool = False, **options: Any) -> str:
        if local_files_only:
            return str(next((cache / "models--somebody--model" / "snapshots").iterdir()))
        asked.append((name, options["revision"], options["allow_patterns"]))
        return str(tmp_path / "model")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    xreid.from_pretrained("somebody/model", revision="v2")
    assert asked == [("somebody/model", "v2", ["config.json", "model.safetensors", "calibration.json"])]


@pytest.mark.parametrize("name", ["nobody/nothing", "nothing", "a/b/c", "../up"])
def test_names_without_a_network_are_one_message(
    name: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    with pytest.raises(
        CheckpointError, match="the hub is not reachable|expected a folder that exists, or owner"
    ):
        xreid.from_pretrained(name)


def test_a_repository_that_is_not_there(cache: Path, fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, *, local_files_only: bool = False, **_: Any) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        raise refusal("404 Client Error.\n\nRepository Not Found")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(CheckpointError, match="cannot be had: 404 Client Error. Repository Not Found"):
        xreid.from_pretrained("nobody/nothing")


def refusal(text: str) -> HfHubHTTPError:
    response = SimpleNamespace(headers={}, request=None, status_code=404)
    return HfHubHTTPError(text, response=response)  # type: ignore[arg-type]


def test_push_of_simulated_people(tmp_path: Path, fake: FakeHub) -> None:
    model = free(tmp_path / "run" / "checkpoint")
    (tmp_path / "run" / "checkpoint" / "README.md").write_text("my own words")
    (tmp_path / "run" / "checkpoint" / "notes.txt").write_text("stays here")
    (tmp_path / "run" / "checkpoint" / "frame.jpg").write_bytes(b"stays here")
    address = xreid.push_to_hub(tmp_path / "run", "me/model", token="secret")
    assert address == "https://hub/me/model/commit/1"
    assert fake.created == [("me/model", True)]  # private
    assert fake.tokens == ["secret"]
    assert sorted(fake.files) == ["README.md", "config.json", "model.safetensors"]
    assert fake.files["README.md"] == b"my own words"
    assert fake.files["model.safetensors"] == (tmp_path / "run/checkpoint/model.safetensors").read_bytes()
    config = json.loads(fake.files["config.json"])
    assert config["identities"] == ["person 1", "person 2", "person 3"]
    assert config["provenance"]["data"] == {"identities": 3, "identities_left_out": ["person 1"]}
    (tmp_path / "back").mkdir()
    for name, content in fake.files.items():
        (tmp_path / "back" / name).write_bytes(content)
    back = xreid.from_pretrained(tmp_path / "back")
    assert (back.sha256, back.checkpoint.hash) == (model.sha256, model.checkpoint.hash)


def test_names_only_where_asked(tmp_path: Path, fake: FakeHub) -> None:
    free(tmp_path / "model")
    xreid.push_to_hub(tmp_path / "model", "me/model", private=False, keep_names=True)
    assert fake.created == [("me/model", False)]
    assert json.loads(fake.files["config.json"])["identities"] == ["a", "b", "c"]


def test_a_licence_that_is_not_free_needs_a_word(tmp_path: Path, fake: FakeHub) -> None:
    write_model(tmp_path / "model")
    (tmp_path / "model" / "README.md").unlink()
    with pytest.raises(
        ConfigError, match='licence of this checkpoint is "for tests".*licence_confirmed=True'
    ):
        xreid.push_to_hub(tmp_path / "model", "me/model")
    assert not fake.created
    assert not fake.files
    xreid.push_to_hub(tmp_path / "model", "me/model", licence_confirmed=True)
    assert b"license_name: for-tests" in fake.files["README.md"]


def test_a_damaged_checkpoint_is_not_pushed(tmp_path: Path, fake: FakeHub) -> None:
    free(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="damaged"):
        xreid.push_to_hub(tmp_path / "model", "me/model")
    assert not fake.created


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (LocalTokenNotFoundError("no token"), "you are not logged in. Run `hf auth login`"),
        (ConnectionError("reset by peer"), "did not take me/model: reset by peer"),
        (None, ""),
    ],
)
def test_refusals_of_the_hub(failure: Exception | None, message: str, tmp_path: Path, fake: FakeHub) -> None:
    free(tmp_path / "model")
    fake.failure = failure or refusal("403 Forbidden\n\nnot yours")
    with pytest.raises(CheckpointError, match=message or "did not take me/model: 403 Forbidden not yours"):
        xreid.push_to_hub(tmp_path / "model", "me/model")


def test_push_without_a_network(tmp_path: Path, fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    free(tmp_path / "model")
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    with pytest.raises(
        CheckpointError, match="cannot be pushed: the hub is not reachable. Check the network"
    ):
        xreid.push_to_hub(tmp_path / "model", "me/model")
    with pytest.raises(CheckpointError, match="owner/repository"):
        xreid.push_to_hub(tmp_path / "model", "model")


def test_the_names_are_there_and_importing_loads_nothing() -> None:
    code = (
        "import sys, xreid; assert 'push_to_hub' in dir(xreid); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'huggingface_hub')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert xreid.from_pretrained is hub.from_pretrained
    with pytest.raises(AttributeError, match="no attribute 'from_pretraind'"):
        xreid.from_pretraind  # noqa: B018
