"""What tells one ingest from another: its source, options and versions; work found on disk must agree."""

from __future__ import annotations

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
    if report is not None:
        require_unchanged(found, identity, out)
    if found != identity or report is None:
        raise ConfigError(
            f"{out} holds an ingest of another video, with other options or by other versions",
            todo="Choose another folder, or remove that one.",
        )
    shutil.rmtree(out / WORK, ignore_errors=True)
    return IngestReport(**report)


def require_unchanged(found: dict[str, Any], identity: dict[str, Any], out: Path) -> None:
    """Tell of a file that has changed, or grown, since it was ingested with these very options.

    Raises:
        DataError: It has; one such file keeps no other recording from being ingested.
    """
    changed = {name for name in found.keys() | identity.keys() if found.get(name) != identity.get(name)}
    if changed == {"source_sha256"}:
        raise DataError(
            f"{identity['source']} has changed since it was ingested into {out}",
            todo="Remove that folder to ingest it anew; ingest files that still grow as live cameras.",
        )
