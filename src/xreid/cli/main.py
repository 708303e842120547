"""Entry point: finds the verb, parses its options from its dataclass, calls it, catches errors once."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import xreid
from xreid.core.errors import XReidError

VERBS = {
    "simulate": "write a simulated archive (HITSZ-VCM or BUPTCampus tree)",
    "verify": "check an archive: counts, frames, identities",
    "train": "train a model",
    "embed": "tracklets -> stored embeddings",
    "evaluate": "Rank-k, mAP, mINP with intervals, both directions",
    "calibrate": "what a score says about 'same person': stored beside the weights",
    "ablate": "every table and figure of the paper: rows x seeds, intervals, paired tests",
    "report": "one page about finished runs: curves, scores, rank lists, attention, maps, differences",
    "robustness": "Rank-1 against frames, resolution, blur, occlusion and more; a page with curves",
    "ingest": "video -> tracklets",
    "gallery": "what is in a gallery: add, show, erase and more",
    "search": "find a person in a gallery, across modalities",
    "watch": "people to look out for, and alerts about new tracklets",
    "serve": "a page and an HTTP API over a gallery",
    "export": "checkpoint -> ONNX, compared with its original",
    "convert": "OpenAI's ViT-B-16.pt archive -> safetensors",
    "demo": "simulate, train, evaluate, gallery, search, and a page with pictures",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return 0, or 2 after one line that says what was wrong."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if arguments[0] == "--version":
        print(f"xreid {xreid.__version__}")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        return _fail(f"unknown verb {verb!r}; expected one of {', '.join(VERBS)}. See `xreid --help`.")
    try:
        module = importlib.import_module(f"xreid.cli.{verb}")
        return int(module.main(arguments[1:]) or 0)
    except XReidError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("interrupted; the same command resumes where the verb can resume", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _fail(message: str) -> int:
    print(f"xreid: error: {message}", file=sys.stderr)
    return 2


def _usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {text}" for verb, text in VERBS.items())
    return (
        f"xreid {xreid.__version__}: video-based visible-infrared person re-identification\n\n"
        f"usage: xreid VERB [options]      xreid VERB --help\n\n{verbs}"
    )


if __name__ == "__main__":
    sys.exit(main())
