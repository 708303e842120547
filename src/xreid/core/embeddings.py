"""The seam of the system: vectors of tracklets, stored with everything needed to judge them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xreid.core.errors import DataError, ProtocolError
from xreid.core.files import atomic_folder, read_json, sha256_of_file, sha256_of_value
from xreid.core.grown import read_grown
from xreid.core.tracklets import Modality, Tracklet, TrackletTable

FORMAT_VERSION = 1
NUMBERS = ("start_s", "end_s", "quality", "modality_confidence")  # columns of a tracklet table


@dataclass(frozen=True, kw_only=True)
class EmbeddingOrigin:
    """What made the vectors; two sets may be compared only where `key` agrees.

    Attributes:
        checkpoint: SHA-256 of the weights.
        config: SHA-256 of the resolved configuration.
        layout: (name, width) of the concatenated parts, in order; the widths add up to D.
        preprocessing: Frame size, sampling rule, frames per clip, mean and std.
        source: Name of the data set.
        licence: Terms that came with the checkpoint.
    """

    checkpoint: str
    config: str
    layout: tuple[tuple[str, int], ...]
    preprocessing: dict[str, Any] = field(default_factory=dict)
    source: str = "own"
    licence: str = "unspecified"

    @property
    def key(self) -> tuple[object, ...]:
        """What must agree before two vectors are compared."""
        return (
            self.checkpoint,
            self.config,
            self.layout,
            tuple(sorted(map(str, self.preprocessing.items()))),
        )


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Rows of a set that were embedded together; a set that grew has several, one after the other.

    Attributes:
        key: `content_key` of the rows as they were embedded; it stays when some of them go.
        rows: How many are left.
    """

    key: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class EmbeddingSet:
    """N embedded tracklets.

    Attributes:
        vectors: float32 [N, D], finite, each row of unit length.
        table: The N tracklets, row i beside vector i.
        origin: What made the vectors.
        calibration: What calibration.json of the checkpoint said (evaluation/calibration.py); None without.
        pieces: How it grew, in order of its rows; empty where it was embedded at once.
    """

    vectors: npt.NDArray[np.float32]
    table: TrackletTable
    origin: EmbeddingOrigin
    calibration: dict[str, Any] | None = None
    pieces: tuple[Piece, ...] = ()

    def __post_init__(self) -> None:
        v = self.vectors
        width = sum(w for _, w in self.origin.layout)
        if v.ndim != 2 or v.dtype != np.float32 or v.shape != (len(self.table), width):
            raise DataError(
                "embeddings do not fit their table",
                expected=f"float32 [{len(self.table)}, {width}]",
                got=f"{v.dtype} {list(v.shape)}",
            )
        if self.pieces and sum(piece.rows for piece in self.pieces) != len(self.table):
            raise DataError("the pieces of the embeddings do not fit their table", todo="Embed again.")
        norms = np.linalg.norm(v, axis=1)
        if not np.allclose(norms, 1.0, atol=1e-3):  # also false for NaN
            bad = int(np.flatnonzero(~np.isclose(norms, 1.0, atol=1e-3))[0])
            raise DataError(
                f"embedding of tracklet {self.table[bad].name} is not of unit length", got=str(norms[bad])
            )

    def __len__(self) -> int:
        return len(self.table)

    def take(self, indices: Sequence[int]) -> EmbeddingSet:
        """The given rows in the given order."""
        vectors, table = self.vectors[list(indices)], self.table.take(indices)
        return replace(self, vectors=vectors, table=table, pieces=())

    def save(self, folder: Path) -> None:
        """Write vectors.npy, tracklets.parquet and embedding.json as one folder, atomically."""
        with atomic_folder(folder) as temporary:
            np.save(temporary / "vectors.npy", np.ascontiguousarray(self.vectors))
            write_table(self.table, temporary / "tracklets.parquet")
            meta = {"format": FORMAT_VERSION, "root": str(self.table.root), "origin": asdict(self.origin)}
            meta["vectors_sha256"] = sha256_of_file(temporary / "vectors.npy")
            if self.calibration is not None:
                meta["calibration"] = self.calibration
            if self.pieces:
                meta["pieces"] = [[piece.key, piece.rows] for piece in self.pieces]
            (temporary / "embedding.json").write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> EmbeddingSet:
        """Read a folder written by `save`.

        Raises:
            DataError: Files are missing, damaged, or of a newer format.
        """
        if not (folder / "embedding.json").is_file():
            raise DataError(
                f"cannot read embedding set {folder}: it does not exist or has no embedding.json",
                expected="a folder written by `xreid embed`",
                todo="Check the path, or embed first.",
            )
        meta = read_json(folder / "embedding.json", what="embedding set")
        version = meta.get("format") if isinstance(meta, dict) else None
        if version != FORMAT_VERSION:
            raise DataError(
                f"{folder} has another format",
                expected=f"embedding format {FORMAT_VERSION}",
                got=str(version),
                todo="Use the xreid version that wrote it, or embed again.",
            )
        try:
            origin = origin_from(meta["origin"])
            root, expected = Path(meta["root"]), meta["vectors_sha256"]
            pieces = tuple(Piece(key=str(key), rows=int(rows)) for key, rows in meta.get("pieces", []))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{folder / 'embedding.json'} is damaged", got=str(error), todo="Embed again."
            ) from error
        try:
            found = sha256_of_file(folder / "vectors.npy")
        except OSError as error:
            raise DataError(
                f"cannot read {folder / 'vectors.npy'}: {error.strerror}", todo="Embed again."
            ) from error
        if found != expected:
            raise DataError(f"{folder}/vectors.npy is damaged", todo="Embed again.")
        table = read_table(folder / "tracklets.parquet", root=root, source=origin.source)
        return cls(
            vectors=np.load(folder / "vectors.npy"),
            table=replace(table, licence=origin.licence),
            origin=origin,
            calibration=meta.get("calibration"),
            pieces=pieces,
        )


def content_key(embeddings: EmbeddingSet) -> str:
    """16 hexadecimal digits of a hash of vectors, tracklets and origin; not of where the frames lie."""
    vectors = hashlib.sha256(np.ascontiguousarray(embeddings.vectors).tobytes()).hexdigest()
    rows = [[getattr(row, field) for field in Tracklet.__dataclass_fields__] for row in embeddings.table]
    return sha256_of_value([vectors, rows, asdict(embeddings.origin)])[:16]


def pieces_of(embeddings: EmbeddingSet) -> tuple[Piece, ...]:
    """The pieces of a set; one that never grew is one piece."""
    return embeddings.pieces or (Piece(key=content_key(embeddings), rows=len(embeddings)),)


def origin_from(plain: Mapping[str, Any]) -> EmbeddingOrigin:
    """What made vectors, from its plain values; KeyError, TypeError or ValueError where they are damaged."""
    layout = tuple((str(name), int(width)) for name, width in plain["layout"])
    return EmbeddingOrigin(**{**plain, "layout": layout})


def require_same_origin(first: EmbeddingOrigin, second: EmbeddingOrigin) -> None:
    """Refuse to compare vectors of different models or preprocessing.

    Raises:
        ProtocolError: The two do not agree.
    """
    for name in ("checkpoint", "config", "layout", "preprocessing"):
        a, b = getattr(first, name), getattr(second, name)
        if a != b:
            raise ProtocolError(
                f"the embedding sets differ in their {name}",
                expected=str(a)[:80],
                got=str(b)[:80],
                todo="Embed both with the same checkpoint and options.",
            )


def write_table(table: TrackletTable, path: Path) -> None:
    """Write the rows of a tracklet table as Parquet (one row per tracklet, frames as a list)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: [getattr(row, name) for row in table] for name in Tracklet.__dataclass_fields__}
    columns["modality"] = [row.modality.value for row in table]
    columns["frames"] = [list(row.frames) for row in table]
    text, number = pa.string(), pa.float64()
    types = {"frames": pa.list_(text), **dict.fromkeys(NUMBERS, number)}
    schema = pa.schema([(name, types.get(name, text)) for name in columns])
    pq.write_table(pa.table(columns, schema=schema), path)


def read_table(path: Path, *, root: Path, source: str) -> TrackletTable:
    """Read rows written by `write_table`, and those appended since (`grown`).

    Raises:
        DataError: The file is missing or no such table.
    """
    import pyarrow as pa

    try:
        rows = read_grown(path).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"cannot read tracklet table {path}", got=str(error)) from error
    return table_from(rows, root=root, source=source, what=str(path))


def table_from(rows: Sequence[dict[str, Any]], *, root: Path, source: str, what: str) -> TrackletTable:
    """From the rows of a table that `write_table` wrote, as plain values.

    Raises:
        DataError: `what` is no such table.
    """
    tracklets = tuple(_tracklet(row, f"{what}, row {number}") for number, row in enumerate(rows, 1))
    return TrackletTable(root=root, rows=tracklets, source=source)


def _tracklet(row: dict[str, Any], place: str) -> Tracklet:
    try:
        frames = row["frames"]
        if not isinstance(frames, list) or not all(isinstance(frame, str) for frame in frames):
            raise ValueError(f"frames are no list of paths: {frames!r:.60}")
        return Tracklet(**{**row, "frames": tuple(frames), "modality": Modality(row["modality"])})
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{place} is no tracklet as xreid writes it",
            expected=f"the columns {', '.join(Tracklet.__dataclass_fields__)}",
            got=str(error),
            todo="Give one row per frame instead, in columns tracklet, frame, modality (docs/data.md).",
        ) from error
