"""The tracklet and the tracklet table: what every reader returns and everything downstream consumes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from xreid.core.errors import DataError


class Modality(StrEnum):
    """The spectrum a camera records in; the values are the ones stored in every file."""

    VISIBLE = "vis"
    INFRARED = "ir"

    @property
    def other(self) -> Modality:
        """The opposite modality."""
        return Modality.INFRARED if self is Modality.VISIBLE else Modality.VISIBLE


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracklet:
    """One person followed through consecutive frames of one camera.

    Attributes:
        name: Unique within its table.
        frames: Image files in time order, relative to the table's root (forward slashes) or absolute.
        modality: Visible or infrared.
        identity: The person, or None where unknown.
        camera: The camera, in ONE numbering for both modalities, or None where unknown.
        subset: "train", "auxiliary", "query", "gallery", or "" where the source knows no split.
        start_s: Time of the first frame in seconds (Unix time, or since the start of the video), or None.
        end_s: Time of the last frame in seconds, or None.
        pair: Key shared by simultaneous visible and infrared tracklets (BUPTCampus), or None.
        place: Where the camera stands, in words, or None.
        source: The recording that the frames were cut from, or None.
        quality: How much a comparison can rest on it, 0 (nothing) to 1, or None where nobody judged.
        modality_confidence: How sure the modality is, 0.5 (a guess) to 1, or None where it was given.
    """

    name: str
    frames: tuple[str, ...]
    modality: Modality
    identity: str | None = None
    camera: str | None = None
    subset: str = ""
    start_s: float | None = None
    end_s: float | None = None
    pair: str | None = None
    place: str | None = None
    source: str | None = None
    quality: float | None = None
    modality_confidence: float | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise DataError("a tracklet has an empty name", todo="Name every tracklet.")
        if not self.frames:
            raise DataError(
                f"tracklet {self.name} has no frames", expected="one frame or more", todo="Drop the tracklet."
            )
        if not isinstance(self.modality, Modality):
            raise DataError(f"tracklet {self.name} has modality {self.modality!r}", expected="'vis' or 'ir'")
        for name, least in (("quality", 0.0), ("modality_confidence", 0.5)):
            value = getattr(self, name)
            if value is not None and not least <= value <= 1:
                raise DataError(
                    f"tracklet {self.name} has {name} {value}", expected=f"{least:g} to 1, or none"
                )


@dataclass(frozen=True, kw_only=True)
class TrackletTable:
    """Tracklets under one root folder, with unique names; row numbers are the keys used downstream.

    Attributes:
        root: Folder that relative frame paths start from.
        rows: The tracklets.
        source: Where the table came from, for messages and reports (e.g. "hitsz-vcm").
        licence: Terms that apply to models trained on it (e.g. "non-commercial (HITSZ-VCM)").
    """

    root: Path
    rows: tuple[Tracklet, ...]
    source: str = "own"
    licence: str = "unspecified"

    def __post_init__(self) -> None:
        if not self.rows:
            raise DataError(f"no tracklets under {self.root}", todo="Check the path and the split.")
        seen: set[str] = set()
        for row in self.rows:
            if row.name in seen:
                raise DataError(f"tracklet name {row.name} occurs twice", expected="unique names")
            seen.add(row.name)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tracklet:
        return self.rows[index]

    def __iter__(self) -> Iterator[Tracklet]:
        return iter(self.rows)

    def frame_path(self, frame: str) -> Path:
        """Absolute location of a frame listed in one of the rows."""
        return self.root / frame

    def where(self, keep: Callable[[Tracklet], bool], *, what: str = "selection") -> TrackletTable:
        """The rows for which keep is true, in order.

        Raises:
            DataError: No row is left.
        """
        return self.take((i for i, row in enumerate(self.rows) if keep(row)), what=what)

    def take(self, indices: Iterable[int], *, what: str = "selection") -> TrackletTable:
        """The given rows in the given order."""
        rows = tuple(self.rows[i] for i in indices)
        if not rows:
            raise DataError(f"{what}: none of the {len(self)} tracklets of {self.root} is in it")
        return TrackletTable(root=self.root, rows=rows, source=self.source, licence=self.licence)

    def subset(self, *names: str) -> TrackletTable:
        """The rows of the given subsets (e.g. "train", or "query" and "gallery")."""
        return self.where(lambda row: row.subset in names, what=f"subset {' + '.join(names)}")

    def subset_if_any(self, *names: str) -> TrackletTable:
        """As `subset`, or all rows where none is of these subsets."""
        return self.subset(*names) if any(row.subset in names for row in self.rows) else self

    def test_rows(self) -> TrackletTable:
        """The query and gallery lists together, or all rows where the source knows no such lists."""
        return self.subset_if_any("query", "gallery")

    def identities(self) -> list[str]:
        """Known identities, sorted as strings: label i of a classifier is entry i."""
        return sorted({row.identity for row in self.rows if row.identity is not None})

    def cameras(self) -> list[str]:
        """Known cameras, sorted as strings: camera number i of an embedding is entry i."""
        return sorted({row.camera for row in self.rows if row.camera is not None})


def index_of(names: Sequence[str]) -> dict[str, int]:
    """Position of each name, e.g. identity -> label."""
    return {name: i for i, name in enumerate(names)}
