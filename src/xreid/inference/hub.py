"""Checkpoints by name: a folder here, or a repository of the Hugging Face hub.

A checkpoint's folder is a repository as it stands: README.md (the model card), config.json,
model.safetensors and, where it was calibrated, calibration.json. Nothing in it can run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

import xreid
from xreid.core.errors import CheckpointError, ConfigError, XReidError
from xreid.core.files import read_json
from xreid.data.names import SIMULATION_LICENCE
from xreid.evaluation.calibration import FILE as CALIBRATION
from xreid.inference.checkpoint import CONFIG, WEIGHTS, LoadedModel, load_checkpoint
from xreid.inference.model_card import CARD, write_model_card
from xreid.models.hub import hub_answers

_NEEDED = (CONFIG, WEIGHTS)


def from_pretrained(
    name: str | Path,
    *,
    device: torch.device | str = "cpu",
    revision: str | None = None,
    refresh: bool = False,
) -> LoadedModel:
    """Load a checkpoint: a folder, a finished run, or a repository of the hub.

    Args:
        name: A path, or "owner/repository".
        device: Where the network goes.
        revision: Branch, tag or commit; default the main branch.
        refresh: Ask the hub for the newest even if a copy is in the cache; else the cache comes first.

    Raises:
        CheckpointError: There is no such folder or repository, it is neither cached nor reachable, or it is
            damaged.
    """
    folder = Path(name)
    if folder.exists():
        if revision is not None:
            raise ConfigError(f"{folder} is a folder, which has no revision {revision}")
        return load_checkpoint(folder, device)
    return load_checkpoint(_fetched(str(name), revision=revision, refresh=refresh), device)


def push_to_hub(
    folder: Path | str,
    repo_id: str,
    *,
    private: bool = True,
    licence_confirmed: bool = False,
    keep_names: bool = False,
    token: str | None = None,
) -> str:
    """Upload a checkpoint. It is private unless asked otherwise; frames and embeddings never go along.

    Only a checkpoint trained on simulated people may be pushed without more: any other licence either forbids
    passing on what came of the data, or leaves it open.

    Args:
        folder: A checkpoint, or a finished run. A model card is written where there is none.
        repo_id: "owner/repository"; made where it is missing.
        private: Whether a repository that is made is private. One that exists stays as it is.
        licence_confirmed: You have made sure that the checkpoint's licence lets you do this.
        keep_names: Upload the names of the training people; else numbers take their place, which changes
            nothing that the model computes.
        token: Of the hub; default the one that is logged in.

    Returns:
        Address of the commit.

    Raises:
        ConfigError: The licence is not free and not confirmed, or the name is no name.
        CheckpointError: There is no checkpoint, it is damaged, or the hub refuses or cannot be reached.
    """
    model = load_checkpoint(Path(folder))  # whole and undamaged, before anybody else gets it
    licence = model.checkpoint.licence
    if licence != SIMULATION_LICENCE and not licence_confirmed:
        raise ConfigError(
            f'the licence of this checkpoint is "{licence}", so it is not pushed',
            expected=f'"{SIMULATION_LICENCE}", or your word',
            todo="Ask whoever owns the training data; then pass licence_confirmed=True.",
        )
    _require_name(repo_id)
    place = _folder_of(Path(folder))
    if not (place / CARD).is_file():
        write_model_card(place)
    _require_hub(repo_id, doing="pushed")
    return _upload(place, repo_id, private=private, keep_names=keep_names, token=token, sha256=model.sha256)


def _upload(
    place: Path, repo_id: str, *, private: bool, keep_names: bool, token: str | None, sha256: str
) -> str:
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api = HfApi(token=token, library_name="xreid", library_version=xreid.__version__)
    contents: dict[str, str | bytes] = {
        CARD: str(place / CARD),
        WEIGHTS: str(place / WEIGHTS),
        CONFIG: _config(place / CONFIG, keep_names=keep_names),
    }
    if (place / CALIBRATION).is_file():
        contents[CALIBRATION] = _calibration(place / CALIBRATION, keep_names=keep_names)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.create_commit(
            repo_id,
            operations=[
                CommitOperationAdd(path_in_repo=name, path_or_fileobj=content)
                for name, content in contents.items()
            ],
            commit_message=f"xreid checkpoint {sha256[:12]}",
        )
    except LocalTokenNotFoundError as error:
        raise _refused(
            repo_id, "you are not logged in", todo="Run `hf auth login`, or pass token=."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise _refused(repo_id, " ".join(str(error).split())[:200]) from error
    return str(commit.commit_url)


def _config(path: Path, *, keep_names: bool) -> bytes:
    config = read_json(path, what="checkpoint")
    if not keep_names:
        config["identities"] = _numbers(config["identities"])
        data = config["provenance"].get("data", {})
        if "identities_left_out" in data:
            data["identities_left_out"] = _numbers(data["identities_left_out"])
    return _json(config)


def _calibration(path: Path, *, keep_names: bool) -> bytes:
    calibration = read_json(path, what="calibration")
    if not keep_names and "identities" in calibration:
        calibration["identities"] = _numbers(calibration["identities"])
    return _json(calibration)


def _numbers(names: list[str]) -> list[str]:
    return [f"person {i}" for i in range(1, len(names) + 1)]


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def _fetched(name: str, *, revision: str | None, refresh: bool) -> Path:
    """The local copy of a repository's files."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    _require_name(name)
    wanted = [*_NEEDED, CALIBRATION]
    if not refresh:
        try:
            found = snapshot_download(name, revision=revision, allow_patterns=wanted, local_files_only=True)
            if all((Path(str(found)) / file).is_file() for file in _NEEDED):
                return Path(str(found))
        except LocalEntryNotFoundError:
            pass
    _require_hub(name, doing="had")
    try:
        return Path(str(snapshot_download(name, revision=revision, allow_patterns=wanted)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"the checkpoint {name} cannot be had: {' '.join(str(error).split())[:200]}",
            todo="Check the name; a private one needs `hf auth login`.",
        ) from error


def _require_name(name: str) -> None:
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        valid = False
    else:
        valid = name.count("/") == 1
    if not valid:
        raise CheckpointError(
            f"there is no checkpoint {name}", expected="a folder that exists, or owner/repository"
        )


def _require_hub(name: str, *, doing: str) -> None:
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if HF_HUB_OFFLINE or not hub_answers():
        raise CheckpointError(
            f"the checkpoint {name} cannot be {doing}: the hub is not reachable"
            + (" (HF_HUB_OFFLINE is set)" if HF_HUB_OFFLINE else ""),
            todo="Check the network, or copy the folder by other means: it is all there is.",
        )


def _folder_of(folder: Path) -> Path:
    from xreid.inference.checkpoint import describe_checkpoint

    return describe_checkpoint(folder)[0]


def _refused(repo_id: str, why: str, *, todo: str = "") -> XReidError:
    return CheckpointError(f"the hub did not take {repo_id}: {why}", todo=todo)
