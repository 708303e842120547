"""Kill -9 at random moments while a gallery is filled and erased from: is anything acknowledged lost?

    python benchmarks/gallery_kills.py --kills 50                # a folder
    python benchmarks/gallery_kills.py --kills 50 --address http://127.0.0.1:19530/kills

A child process appends sets, labels and erases, and writes a line for everything that was acknowledged. It is
killed after a random time. Then the gallery is opened: all that was acknowledged must be there, what was
being done must be there as a whole or not at all, erased people must not be, and all checksums must hold.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_check import check_gallery

_ROWS = 40
_WIDTH = 64


def made(number: int) -> EmbeddingSet:
    """The set of that number."""
    rng = np.random.default_rng(number)
    vectors = rng.normal(size=(_ROWS, _WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = tuple(
        Tracklet(name=f"s{number}-{i}", frames=(f"{i}.jpg",), modality=Modality.VISIBLE) for i in range(_ROWS)
    )
    origin = EmbeddingOrigin(checkpoint="c" * 64, config="k" * 64, layout=(("cls", _WIDTH),))
    return EmbeddingSet(vectors=vectors, table=TrackletTable(root=Path("/"), rows=rows), origin=origin)


def work(address: str, first: int, journal: Path) -> None:
    """Append, label and erase without end; a line before and after each change."""
    gallery = Gallery.create(address)
    with journal.open("a", buffering=1) as log:
        print(json.dumps(["ready"]), file=log)
        for number in range(first, first + 10_000):
            for verb in ("append", "label", "erase"):
                print(json.dumps(["begin", verb, number]), file=log)
                if verb == "append":
                    gallery.append(made(number), name=f"set {number}")
                elif verb == "label":
                    gallery.label([gallery.find(f"s{number}-1").id], add=["seen"])
                else:
                    gallery.erase(names=[f"s{number}-0"], asked_by="benchmark")
                print(json.dumps(["done", verb, number]), file=log)


@dataclass
class Expected:
    """What has been acknowledged, and what was under way at a kill."""

    done: set[tuple[str, int]] = field(default_factory=set)
    begun: set[tuple[str, int]] = field(default_factory=set)

    def read(self, lines: list[list[Any]]) -> None:
        """Take over the lines of a journal: what was begun and what was acknowledged."""
        for word, *rest in lines:
            if word == "begin":
                self.begun.add((rest[0], rest[1]))
            elif word == "done":
                self.done.add((rest[0], rest[1]))

    def faults(self, gallery: Gallery) -> list[str]:
        """What is there and should not be, or the reverse."""
        found: dict[int, dict[int, tuple[str, ...]]] = {}
        for entry in gallery.walk():
            number, row = map(int, entry.tracklet.name.removeprefix("s").split("-"))
            found.setdefault(number, {})[row] = entry.labels
        wrong = [f"set {n} was not begun" for n in found if ("append", n) not in self.begun]
        for verb, n in sorted(self.begun):
            rows, sure = found.get(n, {}), (verb, n) in self.done
            if verb == "append" and (sure or rows) and not set(range(1, _ROWS)) <= set(rows):
                wrong.append(f"set {n} has {len(rows)} rows")
            if verb == "label" and sure and rows.get(1) != ("seen",):
                wrong.append(f"the label of set {n} is lost")
            if verb == "erase" and sure and 0 in rows:
                wrong.append(f"the person erased from set {n} is back")
        receipts = [r for r in gallery.receipts() if r.finished]
        erased = sum(verb == "erase" for verb, _ in self.done)
        wrong += [f"{len(receipts)} receipts, {erased} erasures"] if len(receipts) < erased else []
        return wrong + list(check_unfinished(gallery))


def check_unfinished(gallery: Gallery) -> list[str]:
    """Faults of the gallery's own check; a receipt may be unfinished where the kill came between."""
    return [fault for fault in check_gallery(gallery) if "is not finished" not in fault]


def vectors_left(gallery: Gallery, expected: Expected) -> list[str]:
    """Erased vectors that are in a byte of the folder."""
    folder = Path(gallery.address)
    if not folder.is_dir():
        return []
    data = [path.read_bytes() for path in folder.rglob("*.npy")]
    return [
        f"the vector erased from set {number} is on the disk"
        for verb, number in expected.done
        if verb == "erase" and any(made(number).vectors[0].tobytes() in blob for blob in data)
    ]


def killed(address: str, first: int, journal: Path, *, after_s: float) -> None:
    """Run a writer, and kill it that long after it began to write."""
    command = [
        sys.executable,
        __file__,
        "--work",
        str(first),
        "--address",
        address,
        "--journal",
        str(journal),
    ]
    size = journal.stat().st_size if journal.exists() else 0
    child = subprocess.Popen(command)
    while child.poll() is None and (not journal.exists() or journal.stat().st_size == size):
        time.sleep(0.002)
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    child.wait()


def run(address: str | None, *, kills: int, longest_s: float, seed: int) -> int:
    """Kill and look, again and again; returns the number of faults."""
    rng, expected, faults = random.Random(seed), Expected(), 0
    with tempfile.TemporaryDirectory() as place:
        where = address or str(Path(place) / "gallery")
        journal = Path(place) / "journal"
        for kill in range(kills):
            killed(where, 10_000 * kill, journal, after_s=rng.uniform(0, longest_s))
            expected.read(
                [json.loads(line) for line in journal.read_text().splitlines() if line.endswith("]")]
            )
            gallery = Gallery.open(where)
            wrong = expected.faults(gallery)
            gallery.append(replace(made(10_000 * kill + 9_999)), name="after")  # the next change clears up
            expected.begun.add(("append", 10_000 * kill + 9_999))
            wrong += vectors_left(gallery, expected)
            faults += len(wrong)
            print(f"kill {kill + 1}: {len(expected.done)} changes acknowledged, {len(gallery)} rows", *wrong)
    print(f"{kills} kills, {len(expected.done)} acknowledged changes, {faults} faults")
    return faults


def main() -> int:
    """Kill and check as often as asked; 1 where anything acknowledged was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--address", default=None, help="default a folder")
    parser.add_argument("--longest_s", type=float, default=1.0, help="longest life of a writer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=int, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--journal", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        work(options.address, options.work, options.journal)
    return (
        1 if run(options.address, kills=options.kills, longest_s=options.longest_s, seed=options.seed) else 0
    )


if __name__ == "__main__":
    sys.exit(main())
