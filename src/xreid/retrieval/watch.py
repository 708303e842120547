"""Watch lists: people to look out for, by name, with example vectors, a reason and an end.

The file watch.json is replaced as a whole or not at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.core.files import read_json, write_json
from xreid.core.tracklets import Modality
from xreid.retrieval.answers import changing
from xreid.retrieval.engine import Vectors
from xreid.retrieval.typed import record

if TYPE_CHECKING:
    from xreid.retrieval.queries import AnyQuery

FORMAT_VERSION = 1
FILE = "watch.json"


@dataclass(frozen=True, kw_only=True)
class WatchExample:
    """One tracklet of a watched person.

    Attributes:
        name: The tracklet's.
        modality: The tracklet's.
        vector: float32 [D] of unit length.
        id: Its id in the gallery; None where it came from elsewhere.
    """

    name: str
    modality: Modality
    vector: Vectors
    id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A person on a watch list.

    Attributes:
        name: What to call them; unique in the list.
        reason: Why they are watched for.
        added: When, ISO 8601 UTC.
        by: Who added them.
        expires: Until when, ISO 8601 UTC; None for no end.
        far: False alarms per new tracklet that are put up with; None where `min_score` cuts.
        min_score: Least cosine instead, where nothing is calibrated.
        before: Keys of the gallery's sets whose tracklets raise no alerts: those that were there before.
        model: What made the vectors; see `model_of`.
        examples: One or more.
    """

    name: str
    reason: str
    added: str
    by: str
    expires: str | None
    far: float | None
    min_score: float | None
    before: tuple[str, ...]
    model: str
    examples: tuple[WatchExample, ...]

    def expired(self, now: datetime) -> bool:
        """Whether their time is over."""
        return self.expires is not None and datetime.fromisoformat(self.expires) <= now

    @property
    def vectors(self) -> Vectors:
        """float32 [examples, D]."""
        return np.stack([example.vector for example in self.examples])

    @property
    def modalities(self) -> list[Modality]:
        """Of the examples."""
        return [example.modality for example in self.examples]


@dataclass(frozen=True, kw_only=True)
class _Example:
    """A `WatchExample` as it is written; the vector is float32, base64."""

    name: str
    id: str | None
    modality: Modality
    vector: str


@dataclass(frozen=True, kw_only=True)
class _Person:
    """A `Watched` as it is written."""

    name: str
    reason: str
    added: str
    by: str
    expires: str | None
    far: float | None
    min_score: float | None
    before: tuple[str, ...]
    model: str
    examples: tuple[_Example, ...]


@dataclass(frozen=True, kw_only=True)
class _Plain:
    """watch.json as it is written."""

    format: int
    people: tuple[_Person, ...]


class WatchList:
    """The watch list of a folder of answers; every change is written at once.

    Args:
        folder: Its folder; made with the first person.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def people(self) -> tuple[Watched, ...]:
        """Everybody on it, in order of adding, also those whose time is over.

        Raises:
            DataError: The file is damaged or of a newer format.
        """
        path = self.folder / FILE
        return _parse(read_json(path, what="watch list"), path) if path.exists() else ()

    def get(self, name: str) -> Watched:
        """The person of that name.

        Raises:
            ProtocolError: There is none.
        """
        people = self.people
        for person in people:
            if person.name == name:
                return person
        known = ", ".join(person.name for person in people[:8]) or "an empty list"
        raise ProtocolError(f"nobody is watched for as {name!r}", expected=known)

    def add(self, person: Watched) -> None:
        """Add a person.

        Raises:
            ConfigError: The name is taken.
        """

        def added(people: tuple[Watched, ...]) -> tuple[Watched, ...]:
            if any(other.name == person.name for other in people):
                raise ConfigError(
                    f"{person.name!r} is on the watch list already",
                    todo="Remove it first, or use another name.",
                )
            return (*people, person)

        self.change(added)

    def remove(self, names: Collection[str]) -> int:
        """Remove people; returns how many.

        Raises:
            ProtocolError: Nobody of a name is on it; nobody is removed.
        """

        def removed(people: tuple[Watched, ...]) -> tuple[Watched, ...]:
            missing = sorted(set(names) - {person.name for person in people})
            if missing:
                known = ", ".join(person.name for person in people[:8]) or "an empty list"
                raise ProtocolError(f"nobody is watched for as {missing[0]!r}", expected=known)
            return tuple(person for person in people if person.name not in names)

        before, after = self.change(removed)
        return len(before) - len(after)

    def change(
        self, change: Callable[[tuple[Watched, ...]], tuple[Watched, ...]]
    ) -> tuple[tuple[Watched, ...], tuple[Watched, ...]]:
        """Replace the people under the lock; returns those before and after."""
        with changing(self.folder):
            before = self.people
            after = change(before)
            if after != before:
                plain = {"format": FORMAT_VERSION, "people": [_plain(person) for person in after]}
                write_json(self.folder / FILE, plain)
            return before, after


def watched(
    query: AnyQuery,
    *,
    name: str,
    origin: EmbeddingOrigin,
    reason: str,
    by: str = "",
    expires: datetime | None = None,
    far: float | None = 1e-3,
    min_score: float | None = None,
    before: Collection[str] = (),
    now: datetime | None = None,
) -> Watched:
    """A person to watch for, from a query of one or several examples.

    Raises:
        ConfigError: The name or the reason is empty, or the end lies in the past.
    """
    now = now or datetime.now(UTC)
    for what, text in (("name", name), ("reason", reason)):
        if not text.strip() or not text.isprintable():
            raise ConfigError(
                f"a watched person needs a {what}", expected="printable words", got=repr(text[:40])
            )
    if expires is not None and expires <= now:
        raise ConfigError("the watch would be over before it begins", got=expires.isoformat())
    if (far is None) == (min_score is None):
        raise ConfigError("a watch needs one threshold", expected="a false-alarm rate, or a least score")
    return Watched(
        name=name.strip(),
        reason=reason.strip(),
        added=now.astimezone(UTC).isoformat(timespec="seconds"),
        by=by,
        expires=None if expires is None else expires.astimezone(UTC).isoformat(timespec="seconds"),
        far=far,
        min_score=min_score,
        before=tuple(before),
        model=model_of(origin),
        examples=tuple(
            WatchExample(name=one.name, modality=one.tracklet.modality, vector=one.vector, id=one.id)
            for one in query.examples
        ),
    )


def model_of(origin: EmbeddingOrigin) -> str:
    """16 hexadecimal digits of what made vectors; those of two models cannot be compared."""
    return hashlib.sha256(repr(origin.key).encode()).hexdigest()[:16]


def without_examples(people: Sequence[Watched], gone: Callable[[WatchExample], bool]) -> tuple[Watched, ...]:
    """The people without some examples; whoever has none left is gone."""
    kept = (
        replace(person, examples=tuple(one for one in person.examples if not gone(one))) for person in people
    )
    return tuple(person for person in kept if person.examples)


def _plain(person: Watched) -> dict[str, Any]:
    examples = [
        {
            "name": one.name,
            "id": one.id,
            "modality": one.modality.value,
            "vector": base64.b64encode(one.vector.astype("<f4").tobytes()).decode("ascii"),
        }
        for one in person.examples
    ]
    return {**vars(person), "before": list(person.before), "examples": examples}


def _parse(plain: Any, path: Path) -> tuple[Watched, ...]:
    version = plain.get("format") if isinstance(plain, dict) else None
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path} has another format",
            expected=f"watch list format {FORMAT_VERSION}",
            got=json.dumps(version),
        )
    try:
        return tuple(_person(one) for one in record(_Plain, plain).people)
    except ValueError as error:
        raise DataError(
            f"{path} is damaged", got=str(error)[:200], todo="Restore it from a backup."
        ) from error


def _person(plain: _Person) -> Watched:
    """A watched person; ValueError where that is none."""
    for moment in (plain.added, *([] if plain.expires is None else [plain.expires])):
        if datetime.fromisoformat(moment).tzinfo is None:
            raise ValueError(f"{moment} has no time zone")
    if (plain.far is None) == (plain.min_score is None) or not 0 < (plain.far or 0.5) < 1:
        raise ValueError(f"{plain.name!r} has far {plain.far} and min_score {plain.min_score}")
    examples = tuple(_example(one) for one in plain.examples)
    if len({len(one.vector) for one in examples}) != 1:
        raise ValueError(f"{plain.name!r} has no examples, or of several models")
    return Watched(**{**vars(plain), "examples": examples})


def _example(plain: _Example) -> WatchExample:
    vector = np.frombuffer(base64.b64decode(plain.vector, validate=True), dtype="<f4").astype(np.float32)
    if not len(vector) or not np.isfinite(vector).all():
        raise ValueError(f"the vector of {plain.name!r} holds no numbers")
    return WatchExample(name=plain.name, id=plain.id, modality=plain.modality, vector=vector)
