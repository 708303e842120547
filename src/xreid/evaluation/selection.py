"""Rows of a tracklet table -> queries and gallery of one protocol and direction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xreid.core.errors import ProtocolError
from xreid.core.tracklets import Modality, TrackletTable
from xreid.evaluation.directions import Direction
from xreid.evaluation.protocols import Protocol

_TRAINING = ("train", "auxiliary")
_OTHER_PROTOCOL = "Use --protocol generic, which pools all tracklets."


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Rows that take part, and how many do not.

    Attributes:
        query: int64 [Q], row numbers of the queries.
        gallery: int64 [G], row numbers of the gallery.
        unknown_queries: Rows left out of the queries because their identity is unknown.
        unknown_gallery: Rows left out of the gallery because their identity is unknown.
        batch_dropped: Visible rows dropped by `Protocol.visible_batch` (query and gallery list together).
        training_rows: Rows of the training subsets that were left out.
    """

    query: npt.NDArray[np.int64]
    gallery: npt.NDArray[np.int64]
    unknown_queries: int
    unknown_gallery: int
    batch_dropped: int
    training_rows: int


def select(table: TrackletTable, protocol: Protocol, *, direction: Direction) -> Selection:
    """Queries and gallery of a protocol and direction, in table order.

    Raises:
        ProtocolError: A modality or list is missing, or the table does not fit the protocol.
    """
    asking, answering, training_rows, dropped = _roles(table, protocol)
    query = [i for i in asking if direction.query in (None, table[i].modality)]
    gallery = [i for i in answering if direction.gallery in (None, table[i].modality)]
    _require(query, table, direction.query, what="query", protocol=protocol, direction=direction)
    _require(gallery, table, direction.gallery, what="gallery", protocol=protocol, direction=direction)
    known_query = [i for i in query if table[i].identity is not None]
    known_gallery = [i for i in gallery if table[i].identity is not None]
    if not known_query or not known_gallery:
        raise ProtocolError(
            f"{direction}: no {'gallery' if known_query else 'query'} tracklet has a known identity",
            todo="Evaluation needs identities; without them use `xreid search`.",
        )
    if protocol.same_camera == "drop":
        _require_cameras(table, [*known_query, *known_gallery], protocol)
    return Selection(
        query=np.asarray(known_query, dtype=np.int64),
        gallery=np.asarray(known_gallery, dtype=np.int64),
        unknown_queries=len(query) - len(known_query),
        unknown_gallery=len(gallery) - len(known_gallery),
        batch_dropped=dropped,
        training_rows=training_rows,
    )


def require_answers(
    table: TrackletTable, protocol: Protocol, *, directions: Sequence[Direction], made: Mapping[str, object]
) -> None:
    """Refuse, before tracklets are embedded, what no embeddings of them could answer.

    Args:
        table: The tracklets.
        protocol: What will be asked of them.
        directions: Who will ask whom.
        made: How they will be embedded, as an embedding set's origin says it: "sampling" and "frames".

    Raises:
        ProtocolError: As `select` and `require_frames`, or no query has a positive.
    """
    for direction in directions:
        selection = select(table, protocol, direction=direction)
        require_frames(table, made, selection, protocol=protocol)
        if not _any_positive(table, selection, protocol=protocol):
            raise no_positives(protocol, direction=direction, queries=len(selection.query))


def no_positives(protocol: Protocol, *, direction: Direction, queries: int) -> ProtocolError:
    """What to say where every query's positives are missing or do not count."""
    return ProtocolError(
        f"{direction} under {protocol.name}: none of {queries} queries has a positive in the gallery",
        expected="identities seen by another camera, in the gallery's modality",
        todo="Check identities and cameras; --protocol bupt-campus/full keeps same-camera matches.",
    )


def require_frames(
    table: TrackletTable, made: Mapping[str, object], selection: Selection, *, protocol: Protocol
) -> None:
    """Refuse tracklets that are not embedded by the frames that the protocol names.

    Args:
        table: The tracklets.
        made: How they are embedded: "sampling" and "frames".
        selection: Rows that take part.
        protocol: The protocol.

    Raises:
        ProtocolError: Another sampling rule or number of frames, or a tracklet too short for its lists.
    """
    rule = protocol.frames
    if rule is None:
        return
    expected, got = (rule.sampling, rule.frames), (made.get("sampling"), made.get("frames"))
    if expected != got:
        raise ProtocolError(
            f"{protocol.name} is defined on other frames than these embeddings are made of",
            expected=f"sampling {expected[0]} with {expected[1]} frames a clip",
            got=f"{got[0]} with {got[1]}" if all(got) else "embeddings that do not tell",
            todo=f"Embed again with --sampling {rule.sampling} --frames {rule.frames}, "
            f"or use --protocol {protocol.base}.",
        )
    used = np.union1d(selection.query, selection.gallery)
    short = [int(i) for i in used if len(table[int(i)].frames) < rule.shortest]
    if short:
        raise ProtocolError(
            f"{protocol.name} leaves out tracklets under {rule.shortest} frames; these have {len(short)}",
            got=f"e.g. {table[short[0]].name} with {len(table[short[0]].frames)}",
            todo=f"Embed again with --min_frames {rule.shortest}, or use --protocol {protocol.base}.",
        )


def _any_positive(table: TrackletTable, selection: Selection, *, protocol: Protocol) -> bool:
    """Whether one query at least has a tracklet that counts; the first one mostly does."""
    answering: dict[str | None, list[int]] = {}
    for i in selection.gallery.tolist():
        answering.setdefault(table[i].identity, []).append(i)
    filtered = protocol.same_camera != "keep"
    return any(
        i != q and not (filtered and table[q].camera is not None and table[q].camera == table[i].camera)
        for q in selection.query.tolist()
        for i in answering.get(table[q].identity, ())
    )


def _roles(table: TrackletTable, protocol: Protocol) -> tuple[list[int], list[int], int, int]:
    """Rows that may ask, rows that may answer, training rows left out, rows dropped by the batch rule."""
    test = [i for i, row in enumerate(table) if row.subset not in _TRAINING]
    if protocol.roles == "pooled":
        # Held-out training identities are evaluated by the same protocols: then all rows are training rows.
        pool = test or list(range(len(table)))
        if protocol.query_list == "infrared":
            _require_infrared_query_list(table, pool, protocol)
        return pool, pool, len(table) - len(pool), 0
    lists = {name: [i for i in test if table[i].subset == name] for name in ("query", "gallery")}
    for name, rows in lists.items():
        if not rows:
            have = ", ".join(sorted({repr(row.subset) for row in table}))
            raise ProtocolError(
                f"{protocol.name} needs tracklets of subset '{name}' and there are none",
                got=f"subsets {have}",
                todo=_OTHER_PROTOCOL,
            )
    kept = {name: _drop_last_batch(table, rows, size=protocol.visible_batch) for name, rows in lists.items()}
    dropped = sum(len(lists[name]) - len(kept[name]) for name in lists)
    return kept["query"], kept["gallery"], len(table) - len(test), dropped


def _drop_last_batch(table: TrackletTable, rows: list[int], *, size: int) -> list[int]:
    """Without the visible rows that do not fill a last batch (the official sampler; none if all fill one)."""
    visible = [i for i in rows if table[i].modality is Modality.VISIBLE]
    remainder = len(visible) % size if size else 0
    gone = set(visible[len(visible) - remainder :])
    return [i for i in rows if i not in gone]


def _require_infrared_query_list(table: TrackletTable, pool: Iterable[int], protocol: Protocol) -> None:
    wanted = {"query": Modality.INFRARED, "gallery": Modality.VISIBLE}
    for i in pool:
        row = table[i]
        if row.modality is not wanted.get(row.subset, row.modality):
            raise ProtocolError(
                f"{row.name} is a '{row.modality}' tracklet in the {row.subset} list",
                expected=f"under {protocol.name} a query list of infrared and a gallery of visible tracklets",
                todo=_OTHER_PROTOCOL,
            )


def _require(
    rows: list[int],
    table: TrackletTable,
    modality: Modality | None,
    *,
    what: str,
    protocol: Protocol,
    direction: Direction,
) -> None:
    if rows:
        return
    have = sorted({str(row.modality) for row in table})
    if modality is not None and have == [str(modality.other)]:
        other = modality.other
        todo = f"Embed the '{modality}' tracklets too, or evaluate --directions '{other}->{other}'."
    elif protocol.visible_batch and modality is not Modality.INFRARED:
        todo = (
            f"Its batch rule drops a list's last (visible rows modulo {protocol.visible_batch}), here all; "
            "use --protocol bupt-campus/full."
        )
    else:
        todo = _OTHER_PROTOCOL
    raise ProtocolError(
        f"{direction} under {protocol.name}: there is no {what} tracklet",
        expected=f"{what} tracklets of modality '{modality or 'any'}'",
        got=f"{len(table)} tracklets of modality {' and '.join(have)}",
        todo=todo,
    )


def _require_cameras(table: TrackletTable, rows: Iterable[int], protocol: Protocol) -> None:
    without = [i for i in rows if table[i].camera is None]
    if without:
        raise ProtocolError(
            f"{protocol.name} filters by camera and {len(without)} tracklets have no camera",
            got=f"e.g. {table[without[0]].name}",
            todo="Give every tracklet a camera (one numbering for both modalities) and embed again, "
            "or use --protocol generic, which filters only where cameras are known.",
        )
