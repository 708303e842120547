"""What tells one ingest from another: its source, options and versions; work found on disk must agree."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xreid
from xreid.core.errors import ConfigError, DataError
from xreid.core.files import read_json, sha256_of_file, sha256_of_value
from xreid.retrieval.detect_auto import model_folder
from xreid.retrieval.frames import FrameSource
from xreid.retrieval.image_folder import FolderFrames
from xreid.retrieval.ingest_config import IngestConfig, IngestReport

FORMAT_VERSION = 2
WORK = ".ingest"
_BEFORE = {"join": False, "join_score": None}  # what ingests with a checkpoint did before there was a choice
_LIBRARIES = ("av", "opencv-python", "trackers", "supervision")


def identity_of(
    source: FrameSource, config: IngestConfig, *, recording: str | None, before: Path | None
) -> dict[str, Any]:
    """What must agree before work found on disk is taken up; also the head of ingest.json."""
    options = asdict(config)
    for name in ("tracks", "weights"):
        path = options[name]
        options[name] = None if path is None else {"name": path.name, "sha256": _sha256(path)}
    if config.checkpoint is not None:
        from xreid.inference.checkpoint import describe_checkpoint  # brings torch, which takes seconds

        options["checkpoint"] = describe_checkpoint(config.checkpoint)[2]
    else:  # nothing is joined without a model: folders from before these options stay what they are
        options = {name: value for name, value in options.items() if name not in ("join", "join_score")}
    if (folder := model_folder(config.detector)) is not None:
        options["detector_sha256"] = sha256_of_value(
            [(file.name, sha256_of_file(file)) for file in sorted(folder.iterdir()) if file.is_file()]
        )
    return {
        "format": FORMAT_VERSION,
        "source": recording or source.path.name,
        "source_sha256": _sha256(source.path),
        "recording": recording,
        "before": before.name if before else None,
        "options": options,
        "versions": {"xreid": xreid.__version__} | {name: version(name) for name in _LIBRARIES},
    }


def _sha256(path: Path) -> str:
    try:
        if path.is_dir():
            return sha256_of_value([(f.name, sha256_of_file(f)) for f in FolderFrames(path).files])
        return sha256_of_file(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def finished_report(out: Path, identity: dict[str, Any]) -> IngestReport | None:
    """The report of the same ingest in `out`, or None where there is none.

    Raises:
        ConfigError: `out` holds another ingest.
    """
    if not (out / "ingest.json").is_file():
        return None
    found = read_json(out / "ingest.json", what="ingest")
    report = found.pop("report", None)
    found.pop("bridge", None)
    if "before" in found:
        found["before"] = identity["before"]  # it may have come, or gone, since: what is done stays
    if report is None:
        raise DataError(f"{out / 'ingest.json'} is damaged", todo="Remove the folder, and ingest again.")
    require_same(found, identity, out, what="an ingest")
    shutil.rmtree(out / WORK, ignore_errors=True)
    return IngestReport(**report)


def require_same(found: dict[str, Any], identity: dict[str, Any], out: Path, *, what: str) -> None:
    """Refuse to go on with what was ingested otherwise, and say what differs.

    Args:
        found: Identity of what lies in `out`; one of an older version is taken for what that one did.
        identity: Of this ingest.
        out: The folder.
        what: Lies in it, in words.

    Raises:
        DataError: The file has changed, or grown; one such file keeps no other recording from being ingested.
        ConfigError: It is another ingest.
    """
    options = dict(found.get("options") or {})
    found = {**found, "options": (_BEFORE | options) if options.get("checkpoint") else options}
    changed = _differing(found, identity)
    if not changed:
        return
    if changed == ["source_sha256"]:
        raise DataError(
            f"{identity['source']} has changed since it was ingested into {out}",
            todo="Remove that folder to ingest it anew; ingest files that still grow as live cameras.",
        )
    kinds = {
        "source_sha256": "of another video",
        "source": "of a video of another name",
        "before": "after another video",
        "options": "with other options",
        "versions": "by other versions",
    }
    if "source_sha256" in changed:
        del kinds["source"]
    said = [words for name, words in kinds.items() if name in changed] or ["of another kind"]
    there, here = (
        {name: one.get(name) for name in ("source", "before")}
        | one.get("options", {})
        | one.get("versions", {})
        for one in (found, identity)
    )
    names = _differing(there, here)
    words = [_word(name, there.get(name)) for name in names]
    go_on = (
        f"Go on as it was begun ({', '.join(words)}), or c" if changed == ["options"] and all(words) else "C"
    )
    raise ConfigError(
        f"{out} holds {what} {' and '.join(said)}",
        expected=", ".join(f"{name} {_shown(here.get(name))}" for name in names),
        got=", ".join(f"{name} {_shown(there.get(name))}" for name in names),
        todo=f"{go_on}hoose another folder, or remove that one.",
    )


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _word(name: str, value: object) -> str:
    """How to give an option that value; "" for a file, of which only the hash is known."""
    if isinstance(value, dict) or _is_hash(value):
        return ""
    return f"without --{name}" if value is None else f"--{name} {shlex.quote(_shown(value))}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return f"{value.get('name')} {_shown(value.get('sha256'))}"
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    return str(value)[:8] if _is_hash(value) else str(value)


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
