"""Pairs of a gallery's tracklets that cannot be of one person, and what they say of its calibration.

Nobody has to label anything: who is seen at once by two cameras that do not overlap, twice in one picture,
or nearer in time than the way between two cameras takes, is two people. Which cameras overlap only a camera
graph can say; without one only pairs of one picture count.

    GALLERY/answers/strangers.json       the last check of the gallery's calibration, aggregates only
    GALLERY/answers/strangers-KEY.json   of another, which was named (`--calibration`)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xreid.core.errors import DataError, ProtocolError
from xreid.core.files import read_json, write_json
from xreid.core.tracklets import Tracklet
from xreid.evaluation.calibration import Calibration, require_fits
from xreid.evaluation.pairs import kind_of
from xreid.evaluation.site_check import FEWEST, SiteCheck, at_site, check_kind, key_of, site_check_from
from xreid.retrieval.answers import changing
from xreid.retrieval.camera_graph import CameraGraph
from xreid.retrieval.columns import UNIX_FROM_S
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.meaning import Meaning

FILE = "strangers.json"
REACH_S = 600.0  # ways that take longer than that are not looked for
MOST_PAIRS = 20_000  # of one kind, across cameras or not
_MOST_ANCHORS, _MOST_JUDGED, _AT_ONCE = 20_000, 800_000, 1000

Progress = Callable[[int, int], None]
_Group = tuple[str, bool]  # kind of pair, whether across cameras


def meaning_of(gallery: Gallery, folder: Path | None, given: Calibration | None = None) -> Meaning | None:
    """What scores mean here: a calibration that is named, or the gallery's own, with the check of it.

    Where it was checked, its thresholds are those of this place. A check of another calibration says nothing.

    Args:
        gallery: Where.
        folder: Of its answers; None where it has none.
        given: Taken instead of the gallery's own.

    Raises:
        DataError: The calibration or the check is damaged.
    """
    calibration = given or gallery.calibration
    if calibration is None:
        return None
    check = None if folder is None else read_check(folder, key_of(calibration))
    moved = calibration if check is None else at_site(calibration, check)
    return Meaning(calibration=moved, check=check, named=given is not None)


def read_check(folder: Path, key: str) -> SiteCheck | None:
    """The check of a calibration that a folder of answers keeps, if any.

    Args:
        folder: The folder.
        key: Of the calibration (`key_of`).

    Raises:
        DataError: It is damaged.
    """
    for path in (folder / _named(key), folder / FILE):
        if path.is_file():
            check = site_check_from(read_json(path, what="check"), what=str(path))
            if check.calibration == key:
                return check
    return None


def keep_check(folder: Path, check: SiteCheck, *, own: bool = True) -> Path | None:
    """Keep a check, in place of the one before of that calibration.

    One without pairs across cameras does not replace one with such pairs, nor one without any pairs one with
    some, whichever was begun first: a graph that is missing, or names other cameras, takes no doubt away.

    Args:
        folder: Of the answers.
        check: The check.
        own: Whether it is of the gallery's own calibration.

    Returns:
        Where it is kept; None where a better one stays.
    """
    with changing(folder):
        before = _kept(folder, check.calibration)
        if before is not None and _says(before) > _says(check):
            return None
        path = folder / (FILE if own else _named(check.calibration))
        write_json(path, check.to_json())
        if own:  # the newest alone counts
            (folder / _named(check.calibration)).unlink(missing_ok=True)
        return path


def has_better(folder: Path, calibration: Calibration, graph: CameraGraph | None) -> bool:
    """Whether the check that is kept had a camera graph, and one that is made now has none."""
    check = _kept(folder, key_of(calibration))
    return graph is None and check is not None and _says(check)[0]


def _kept(folder: Path, key: str) -> SiteCheck | None:
    """As `read_check`; none where it is damaged: it is made anew."""
    try:
        return read_check(folder, key)
    except DataError:
        return None


def _says(check: SiteCheck) -> tuple[bool, bool]:
    """Whether it has pairs across cameras, and any."""
    return any(kind.across for kind in check.kinds.values()), bool(check.kinds)


def _named(key: str) -> str:
    return f"strangers-{key[:16]}.json"


def check_gallery(
    gallery: Gallery,
    calibration: Calibration,
    *,
    graph: CameraGraph | None = None,
    progress: Progress | None = None,
) -> SiteCheck:
    """Hold a calibration against a gallery's strangers.

    Pairs across cameras count where there are 20 or more of a kind, pairs of one picture elsewhere. Of many,
    20,000 of each kind are drawn, the same ones for the same tracklets.

    Args:
        gallery: Where.
        calibration: Of the gallery's model.
        graph: Cameras and ways; without one only pairs of one picture count.
        progress: Called with pairs scored and their number.

    Raises:
        ProtocolError: The gallery is empty, or the calibration is of another model.
    """
    if gallery.origin is None:
        raise ProtocolError(f"{gallery.address} is empty", todo="Append embeddings first.")
    require_fits(calibration, gallery.origin)
    entries = [entry for entry in gallery.walk() if entry.tracklet.quality != 0]
    found = stranger_pairs([entry.tracklet for entry in entries], graph)
    ids = [entry.id for entry in entries]
    taken = {group: pairs for group, pairs in found.items() if _counts(group, found, calibration)}
    total, done, kinds = sum(map(len, taken.values())), 0, {}
    for (name, across), pairs in taken.items():
        parts = []
        for part in np.array_split(pairs, -(-len(pairs) // _AT_ONCE)):
            parts.append(_scores(gallery, ids, part))
            done += len(part)
            if progress is not None:
                progress(done, total)
        kinds[name] = check_kind(np.concatenate(parts), pairs, calibration.kind(name), across=across)
    return SiteCheck(
        kinds=kinds,
        calibration=key_of(calibration),
        tracklets=len(entries),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def require_cameras(gallery: Gallery, graph: CameraGraph | None) -> None:
    """Refuse a camera graph of another place.

    Raises:
        ProtocolError: It names none of the gallery's cameras.
    """
    if graph is not None and gallery.cameras and not set(gallery.cameras) & set(graph.places):
        raise ProtocolError(
            "the camera graph names none of the gallery's cameras",
            expected=", ".join(gallery.cameras[:8]),
            got=", ".join(list(graph.places)[:8]),
        )


def stranger_pairs(
    rows: Sequence[Tracklet], graph: CameraGraph | None
) -> dict[_Group, npt.NDArray[np.int64]]:
    """Pairs int64 [P, 2] of tracklets that cannot be of one person, by kind and whether across cameras.

    Args:
        rows: The tracklets.
        graph: Cameras and ways; without one only pairs of one picture.
    """
    judge, at_once = (graph or CameraGraph()).judge, CameraGraph().judge
    found: dict[_Group, list[tuple[int, int]]] = {}
    for first, second in _candidates(rows, graph):
        a, b = rows[first], rows[second]
        across = a.camera != b.camera
        # One camera in two recordings at once is the same footage twice.
        counts = graph is not None if across else a.source == b.source
        pairs = found.setdefault((kind_of(a.modality, b.modality), across), [])
        if counts and len(pairs) < MOST_PAIRS and (judge if across else at_once)(a, b).impossible:
            pairs.append((first, second))
    return {group: np.array(pairs, dtype=np.int64) for group, pairs in sorted(found.items()) if pairs}


def _candidates(rows: Sequence[Tracklet], graph: CameraGraph | None) -> Iterator[tuple[int, int]]:
    """Pairs near enough in time: of up to 20,000 tracklets with those that start later, 800,000 in all."""
    generator = np.random.default_rng(0)
    reach = REACH_S if graph is not None and graph.edges else 0.0
    groups = [_timed(rows, group) for group in _clocks(rows).values()]
    anchors = [(number, place) for number, (order, _) in enumerate(groups) for place in range(len(order))]
    asked = generator.permutation(len(anchors))[:_MOST_ANCHORS]
    most = _MOST_JUDGED // max(1, len(asked))
    for chosen in asked:
        number, place = anchors[chosen]
        order, starts = groups[number]
        row = rows[order[place]]
        end = row.end_s if row.end_s is not None else row.start_s
        assert end is not None
        later = np.arange(place + 1, np.searchsorted(starts, end + reach))
        if len(later) > most:
            later = generator.choice(later, most, replace=False)
        yield from ((order[place], order[other]) for other in later.tolist())


def _clocks(rows: Sequence[Tracklet]) -> dict[str | None, list[int]]:
    """Tracklets whose times can be compared: all with a date, and those of each recording without one."""
    found: dict[str | None, list[int]] = {}
    for index, row in enumerate(rows):
        if row.start_s is None or row.camera is None:
            continue
        dated = row.start_s >= UNIX_FROM_S
        if dated or row.source is not None:
            found.setdefault(None if dated else row.source, []).append(index)
    return found


def _timed(rows: Sequence[Tracklet], group: list[int]) -> tuple[list[int], npt.NDArray[np.float64]]:
    """Indices in order of start, and the starts."""
    starts = np.array([rows[index].start_s for index in group], dtype=np.float64)
    order = np.argsort(starts, kind="stable")
    return [group[place] for place in order.tolist()], starts[order]


def _counts(group: _Group, found: dict[_Group, npt.NDArray[np.int64]], calibration: Calibration) -> bool:
    """Whether these pairs are those of their kind that are asked: across cameras where there are enough."""
    name, across = group
    if name not in calibration.kinds or len(found[group]) < FEWEST:
        return False
    return across or len(found.get((name, True), ())) < FEWEST


def _scores(gallery: Gallery, ids: Sequence[str], pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """float64 [P]: the cosines."""
    rows, which = np.unique(pairs, return_inverse=True)
    vectors = gallery.vectors([ids[row] for row in rows.tolist()])
    first, second = which.reshape(pairs.shape).T
    return np.asarray(np.einsum("pd,pd->p", vectors[first], vectors[second]), dtype=np.float64)
