"""The pictures of people who are to be forgotten go from a folder of tracklets, wherever they lie in it.

Whom: tracklets by name, or all that a gallery's receipt of an erasure is of. What goes, in what order and
what a kill leaves is as in `retention`; recorded video stays, since it shows others too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from xreid.core.errors import ConfigError, DataError
from xreid.core.grown import read_grown
from xreid.retrieval.crops import SHORT
from xreid.retrieval.gallery_receipts import Receipt
from xreid.retrieval.merge import RECORDINGS
from xreid.retrieval.records import TRACKLETS
from xreid.retrieval.retention import go_on, remove, writing
from xreid.retrieval.retention_plan import VIDEO, Going, Pieces, folders_of, own_folders, rows_of

_RECEIPT = ".json"
_COLUMNS = ["name", "frames"]


@dataclass(frozen=True, kw_only=True)
class Whom:
    """Who is to be forgotten.

    Attributes:
        names: Of tracklets.
        receipts: Of erasures, which know the names of the erased when they are asked.
    """

    names: frozenset[str] = frozenset()
    receipts: Sequence[Receipt] = ()

    @classmethod
    def of(cls, words: Sequence[str]) -> Whom:
        """From names, and files of receipts (.json).

        Raises:
            ConfigError: There is none, or a receipt is of a dry run.
            DataError: A receipt cannot be read.
        """
        files = [word for word in words if word.endswith(_RECEIPT)]
        receipts = [Receipt.load(Path(file)) for file in files]
        tried = [file for file, one in zip(files, receipts, strict=True) if one.dry_run]
        if not words or tried:
            raise ConfigError(
                "nobody to forget" if not words else "the receipt is of a dry run: nobody was erased",
                expected="names of tracklets, or receipts of `xreid gallery erase`",
                got=", ".join(tried) or "nothing",
            )
        return cls(names=frozenset(words) - set(files), receipts=receipts)

    def __contains__(self, name: object) -> bool:
        return name in self.names or any(one.is_of(str(name)) for one in self.receipts)


@dataclass(kw_only=True)
class Forgotten:
    """What went, and what could not be looked into.

    Attributes:
        going: What went.
        names: The names that were found, short tracklets' among them.
        unread: Ingests that cannot be read or are not finished, and why.
        video: Files of recorded video that are left, and may show them.
    """

    going: Going = field(default_factory=lambda: Going(before_s=None))
    names: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)
    video: int = 0


def forget_named(out: Path, whom: Whom) -> Forgotten:
    """Remove rows, crops, boxes and moments of some tracklets from a folder that nobody writes.

    Raises:
        ConfigError: Another process writes it.
        DataError: Its table is damaged.
        XReidError: It cannot be written; the same call goes on where it was.
    """
    with writing(out):
        go_on(out)
        found = _plan(out, whom)
        remove(out, found.going)
        return found


def _plan(out: Path, whom: Whom) -> Forgotten:
    found, rows, folders = Forgotten(), list[str](), set[Path]()
    several = (out / RECORDINGS).is_dir()
    if several and (out / TRACKLETS).is_file():
        for row in rows_of(out / TRACKLETS, read_grown, columns=_COLUMNS):
            if row["name"] in whom:
                rows.append(row["name"])
                folders |= {out / one for one in folders_of(row)}
    pieces, short = dict[str, Pieces](), 0
    for folder in _ingests(out, found.unread) if several else [out]:
        place = folder.relative_to(out)
        try:
            own = _named(folder, whom, folders)
            too_short = _named(folder / SHORT, whom)
        except DataError as error:
            found.unread.append(str(error))
            continue
        pieces |= {str(place): own, str(place / SHORT): too_short}
        short += len(too_short.names)
        found.names |= {*own.names, *too_short.names}
    found.names |= set(rows)
    alone = [] if several else pieces["."].names if "." in pieces else []
    found.going = Going(
        before_s=None,
        rows=tuple(rows),
        pieces={place: one for place, one in pieces.items() if one.names},
        tracklets=len(rows) + len(alone),
        short=short,
    )
    found.video = sum(path.is_file() for path in (out / VIDEO).glob("[!.]*"))
    return found


def _ingests(out: Path, unread: list[str]) -> list[Path]:
    """Finished ingests of a folder; says which others there are."""
    done = []
    for folder in sorted(path for path in (out / RECORDINGS).iterdir() if path.is_dir()):
        if folder.is_symlink():
            unread.append(f"{folder} is a link: nothing is removed outside of the folder")
        elif not (folder / "ingest.json").is_file():
            unread.append(f"{folder} is not ingested to its end: run its `xreid ingest` again first")
        else:
            done.append(folder)
    return done


def _named(folder: Path, whom: Whom, pictures: Collection[Path] = ()) -> Pieces:
    """The tracklets of one ingest's own table that go.

    Args:
        folder: Of the table.
        whom: By name.
        pictures: Folders of crops: by these, too, since a piece in a later file has another name there.

    Raises:
        DataError: The table is damaged, or names pictures elsewhere.
    """
    path = folder / TRACKLETS
    rows = [
        row
        for row in (rows_of(path, pq.read_table, columns=_COLUMNS) if path.is_file() else ())
        if row["name"] in whom or any(folder / one in pictures for one in folders_of(row))
    ]
    crops = {one for row in rows for one in own_folders(row, path)}
    return Pieces(names=tuple(row["name"] for row in rows), folders=tuple(sorted(crops)))
