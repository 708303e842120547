"""The columns of many tracklets as arrays, and the filters on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.tracklets import Modality

Mask = npt.NDArray[np.bool_]
Labels = tuple[str, ...]

UNIX_FROM_S = 10 * 365 * 86400  # smaller times count from the start of a video
_TEXT = ("cameras", "places", "except_cameras", "labels", "sets", "identities", "names", "sources")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which tracklets may be found. A tracklet that does not say passes no condition on what it does not say.

    Attributes:
        modality: Only this modality; None for any.
        cameras: Only these cameras; empty for all (so for all that follow).
        places: Only cameras of these places.
        from_s: Only tracklets that end at this time or later; Unix seconds, which only those with a date can
            pass, or seconds of the recording, which only those without one can.
        to_s: Only tracklets that start at this time or before; likewise.
        known: Only tracklets of known people.
        other_cameras: Only cameras other than the query's own (those of unknown camera stay); see `of_query`.
        except_cameras: None of these cameras (those of unknown camera stay).
        min_quality: Only tracklets of this quality or better, 0 to 1.
        labels: Only tracklets that carry every one of these labels.
        sets: Only tracklets of these sets of the gallery: keys, their first four digits or more, or names.
        identities: Only tracklets of these people.
        names: Only tracklets of these names.
        sources: Only tracklets cut from these recordings.
    """

    modality: Modality | None = None
    cameras: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    from_s: float | None = None
    to_s: float | None = None
    known: bool = False
    other_cameras: bool = False
    except_cameras: tuple[str, ...] = ()
    min_quality: float | None = None
    labels: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in _TEXT:
            values = getattr(self, name)
            if isinstance(values, str) or not all(isinstance(value, str) for value in values):
                raise ConfigError(f"{name} of a filter are no texts", expected="a tuple of texts")
        for name in ("from_s", "to_s", "min_quality"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ConfigError(f"{name} of a filter is no number", got=str(value))
        if self.from_s is not None and self.to_s is not None and self.from_s > self.to_s:
            raise ConfigError("the time range ends before it starts", todo="Swap --from and --to.")
        if self.from_s is not None and self.to_s is not None and self.from_s < UNIX_FROM_S <= self.to_s:
            raise ConfigError(
                "the time range begins in seconds of a recording and ends with a date",
                todo="Give two dates, or two numbers of seconds.",
            )
        if self.min_quality is not None and not 0 <= self.min_quality <= 1:
            raise ConfigError(
                "the least quality is out of range", expected="0 to 1", got=str(self.min_quality)
            )

    def of_query(self, camera: str | None) -> Filter:
        """The same for a query of that camera: what `other_cameras` means for it is in `except_cameras`."""
        if not self.other_cameras:
            return self
        mine = () if camera is None or camera in self.except_cameras else (camera,)
        return replace(self, other_cameras=False, except_cameras=(*self.except_cameras, *mine))

    def require_resolved(self) -> None:
        """Refuse `other_cameras`, which means something only beside a query.

        Raises:
            ConfigError: It is set.
        """
        if self.other_cameras:
            raise ConfigError("a filter on other cameras needs the query's own", todo="Use Filter.of_query.")


@dataclass(frozen=True, kw_only=True)
class Coded:
    """A column of texts, as numbers.

    Attributes:
        code: int32 [N], index into `values`, -1 where a row says nothing.
        values: The texts that occur, sorted.
    """

    code: npt.NDArray[np.int32]
    values: tuple[str, ...]

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Coded:
        """From an Arrow column of strings."""
        coded = column.combine_chunks().dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.combine_chunks()
        found: list[str] = coded.dictionary.to_pylist()
        values = sorted(found)
        place = {value: i for i, value in enumerate(values)}
        target = np.array([place[value] for value in found] + [-1], dtype=np.int32)
        indices = coded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
        return cls(code=target[indices], values=tuple(values))

    def mask(self, wanted: Sequence[str]) -> Mask:
        """bool [N]: the rows with one of these texts."""
        codes = [i for i, value in enumerate(self.values) if value in set(wanted)]
        return np.isin(self.code, codes)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Columns of N tracklets.

    Attributes:
        infrared: bool [N].
        camera: [N].
        place: [N].
        identity: [N].
        source: [N].
        name: [N] texts.
        start_s: float64 [N], NaN unknown.
        end_s: float64 [N], its start where the end is unknown, NaN where both are.
        quality: float64 [N], NaN unknown.
    """

    infrared: Mask
    camera: Coded
    place: Coded
    identity: Coded
    source: Coded
    name: pa.ChunkedArray
    start_s: npt.NDArray[np.float64]
    end_s: npt.NDArray[np.float64]
    quality: npt.NDArray[np.float64]

    @classmethod
    def of(cls, table: pa.Table) -> Columns:
        """The columns of a table of tracklets (see `core.embeddings.write_table`)."""
        start, end, quality = (_numbers(table[name]) for name in ("start_s", "end_s", "quality"))
        modality = Coded.of(table["modality"])
        return cls(
            infrared=modality.mask([Modality.INFRARED.value]),
            camera=Coded.of(table["camera"]),
            place=Coded.of(table["place"]),
            identity=Coded.of(table["identity"]),
            source=Coded.of(table["source"]),
            name=table["name"],
            start_s=start,
            end_s=np.where(np.isnan(end), start, end),
            quality=quality,
        )

    def __len__(self) -> int:
        return len(self.infrared)

    def mask(self, rules: Filter) -> Mask:
        """bool [N]: the rows that pass, by all but labels and sets, which the gallery knows.

        Raises:
            ProtocolError: A camera or a place is not among them.
            ConfigError: `other_cameras` is set.
        """
        rules.require_resolved()
        require_known("camera", rules.cameras, self.camera.values)
        require_known("place", rules.places, self.place.values)
        keep = np.ones(len(self), dtype=bool)
        if rules.modality is not None:
            keep &= self.infrared == (rules.modality is Modality.INFRARED)
        for name in ("camera", "place", "source", "identity"):
            wanted = getattr(rules, "identities" if name == "identity" else f"{name}s")
            if wanted:
                keep &= getattr(self, name).mask(wanted)
        if rules.except_cameras:
            keep &= ~self.camera.mask(rules.except_cameras)
        if rules.names:
            found = pc.is_in(self.name, value_set=pa.array(rules.names, type=pa.string()))
            keep &= np.asarray(found.to_numpy(), dtype=bool)
        return keep & self._numbers_pass(rules)

    def _numbers_pass(self, rules: Filter) -> Mask:
        keep = np.ones(len(self), dtype=bool)
        if rules.from_s is not None:
            keep &= (self.end_s >= rules.from_s) & of_clock(self.end_s, rules.from_s)
        if rules.to_s is not None:
            keep &= (self.start_s <= rules.to_s) & of_clock(self.start_s, rules.to_s)
        if rules.known:
            keep &= self.identity.code >= 0
        if rules.min_quality is not None:
            keep &= self.quality >= rules.min_quality
        return keep


def of_clock(times: npt.NDArray[np.float64], bound: float) -> Mask:
    """bool [N]: dates where the bound is one, else seconds of a recording."""
    return (times >= UNIX_FROM_S) == (bound >= UNIX_FROM_S)


def require_known(what: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    """Refuse cameras or places that the gallery has never heard of: a typing error would find nobody.

    Raises:
        ProtocolError: One is unknown.
    """
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise ProtocolError(
            f"the gallery has no {what} {', '.join(unknown)}",
            expected=", ".join(known) or f"no {what}: its tracklets name none",
        )


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).fill_null(math.nan).to_numpy(), dtype=np.float64)
