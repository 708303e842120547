"""A long step of a job, in its own process (`python -m xreid.serving.ingest_worker`): JSON in, JSON out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xreid.core.errors import XReidError

_SECONDS_BETWEEN = 0.5


def main() -> int:
    """Read a request, work, tell how far it is, and end with a problem or with none."""
    request = json.loads(sys.stdin.buffer.read())
    problem = None
    try:
        (ingest if request["step"] == "ingest" else embed)(request, _teller())
    except XReidError as error:
        problem = {"what": error.what, "expected": error.expected, "got": error.got, "todo": error.todo}
    _say({"problem": problem})
    return 0


def ingest(request: dict[str, Any], tell: Callable[[int, int | None], None]) -> None:
    """A video to tracklets."""
    from xreid.retrieval.ingest import ingest_video
    from xreid.retrieval.ingest_config import IngestConfig

    config = IngestConfig(**request["options"])
    ingest_video(Path(request["video"]), Path(request["out"]), config=config, tell=tell)


def embed(request: dict[str, Any], tell: Callable[[int, int | None], None]) -> None:
    """Tracklets to an embedding set."""
    from xreid.data.archive import open_archive
    from xreid.inference.calibrated import carry_calibration
    from xreid.inference.checkpoint import load_checkpoint
    from xreid.inference.embed import EmbedConfig, embed_tracklets

    model, out = load_checkpoint(Path(request["checkpoint"])), Path(request["out"])
    table = open_archive(Path(request["data"]).absolute())
    config = EmbedConfig(**request["options"])
    carry_calibration(embed_tracklets(model, table, out=out, config=config, tell=tell), model, out=out)


def _teller() -> Callable[[int, int | None], None]:
    last = 0.0

    def tell(done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() > last + _SECONDS_BETWEEN or done == total:
            last = time.monotonic()
            _say({"done": done, "total": total})

    return tell


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
