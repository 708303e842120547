"""A small gallery with everything that a folder can hold, and ways to damage its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.retrieval.sets import make_set
from tests.retrieval.test_watch import FULL
from xreid.core.tracklets import Modality
from xreid.retrieval import gallery_packs
from xreid.retrieval.alerts import AlertLog
from xreid.retrieval.answers import answers_folder
from xreid.retrieval.cases import Cases
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.queries import queries_from_gallery, together
from xreid.retrieval.uploaded_queries import Queries
from xreid.retrieval.watch import WatchList, watched
from xreid.retrieval.watching import check_watch

CASE = "the man with the bag"
BYTES = {
    "truncated": None,
    "empty": b"",
    "object": b"{}",
    "list": b"[]",
    "null": b"null",
    "garbage": bytes(range(256)) * 3,
}
WRONG = (None, "x", [5])


def build(folder: Path) -> Gallery:
    """A pack of four sets and two of their own, labels, a receipt, a watch list with alerts, a case."""
    gallery = Gallery.create(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery_packs, "MANY", 4)
        for i in range(6):
            some = make_set(3 + i % 3, seed=i, prefix=f"s{i}-", root=Path(f"/frames{i % 2}"))
            some = replace(some, calibration=FULL.to_json() if i in (1, 5) else None)
            gallery.append(some, name=f"set{i}", labels=["odd"] if i % 2 else [])
    gallery.label([gallery.find("s1-0").id], add=["red"])
    _watch(gallery)
    _case(gallery)
    gallery.erase(names=["s5-2"], asked_by="officer", reason="objection")
    return gallery


def _watch(gallery: Gallery) -> None:
    assert gallery.origin is not None
    answers = answers_folder(gallery)
    person = watched(
        together(queries_from_gallery(gallery, ["s1-1"])),
        origin=gallery.origin,
        name="one",
        reason="r",
        far=None,
        min_score=-1,
    )
    WatchList(answers).add(person)
    (first, *_) = check_watch(gallery, answers).new
    AlertLog(answers).acknowledge([first.id], word="right")


def _case(gallery: Gallery) -> None:
    answers = answers_folder(gallery)
    queries, cases = Queries(answers), Cases(answers)
    room = queries.kept.room()
    (room / "0.jpg").write_bytes(b"picture")
    kept = queries.keep(
        room,
        name="seen",
        owner="anna",
        modality=Modality.VISIBLE,
        guessed=False,
        frames=["0.jpg"],
        uploads=["0" * 64],
        vector=np.eye(16, dtype=np.float32)[0],
    )
    asked = [gallery.find("s0-1").id]
    case = cases.open(title=CASE, note="", owner="anna", tracklets=asked, queries=[kept.id])
    cases.judge(case.id, gallery.find("s0-2").id, "confirmed", who="anna")


def files(folder: Path) -> list[Path]:
    """What can be damaged, relative to the gallery's folder."""
    found = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in found if path.name != ".lock" and path.suffix != ".jpg"]


def damages(path: Path, *, whole: bool = True, fields: bool = True) -> Iterator[str]:
    """Damage a file in all ways, one after the other, and undo it at the end; gives what was done.

    Args:
        path: The file.
        whole: Spoil the file as a whole.
        fields: Spoil each field of its JSON.
    """
    before = path.read_bytes()
    for name, data in BYTES.items() if whole else ():
        path.write_bytes(before[: len(before) // 2] if data is None else data)
        yield name
    if whole:
        path.unlink()
        yield "missing"
        path.mkdir()
        yield "a folder"
        shutil.rmtree(path)
    if fields and path.suffix in (".json", ".jsonl"):
        lines = before.decode().splitlines() if path.suffix == ".jsonl" else [before.decode()]
        for number in {0, len(lines) - 1}:
            for what, plain in wrong_fields(json.loads(lines[number])):
                changed = [*lines[:number], json.dumps(plain), *lines[number + 1 :]]
                path.write_text("\n".join(changed) + "\n")
                yield f"line {number}: {what}"
    path.write_bytes(before)


def wrong_fields(plain: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """The value with each field missing, or of another type; of lists only the first entry."""
    fields = list(plain) if isinstance(plain, dict) else [0] if isinstance(plain, list) and plain else []
    for name in fields:
        if name == "calibration":
            continue  # read where it is asked for, by `evaluation.calibration`
        for wrong in WRONG:
            if wrong != plain[name]:
                changed = deepcopy(plain)
                changed[name] = wrong
                yield f"{where}/{name} = {wrong!r}", changed
        if isinstance(plain, dict):
            yield f"{where}/{name} missing", {k: v for k, v in plain.items() if k != name}
        for what, inner in wrong_fields(plain[name], f"{where}/{name}"):
            changed = deepcopy(plain)
            changed[name] = inner
            yield what, changed
