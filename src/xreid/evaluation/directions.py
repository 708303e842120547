"""Which modality asks and which answers, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality

_SHORT = {"I": "ir", "V": "vis"}


@dataclass(frozen=True, order=True)
class Direction:
    """Queries of one modality against a gallery of one modality; None stands for both.

    Attributes:
        query: Modality of the queries, or None for all.
        gallery: Modality of the gallery, or None for all.
    """

    query: Modality | None
    gallery: Modality | None

    @property
    def name(self) -> str:
        """The field's name: I2V, V2I, otherwise e.g. "vis->vis" or "all->all"."""
        if self.query is not None and self.gallery is self.query.other:
            return "I2V" if self.query is Modality.INFRARED else "V2I"
        return f"{self.query or 'all'}->{self.gallery or 'all'}"

    @property
    def crosses(self) -> bool:
        """True where query and gallery are of two different modalities."""
        return self.query is not None and self.gallery is self.query.other

    @classmethod
    def parse(cls, text: str) -> Direction:
        """Read "I2V", "V2V", "ir->vis", "vis->vis", "all->all" and the like, in any case.

        Raises:
            ConfigError: The text names no direction.
        """
        short = text.strip().upper().split("2")
        if len(short) == 2 and all(end in _SHORT for end in short):
            ends = [_SHORT[end] for end in short]
        else:
            ends = [end.strip().lower() for end in text.split("->")]
        known = {"vis": Modality.VISIBLE, "ir": Modality.INFRARED, "all": None}
        if len(ends) != 2 or any(end not in known for end in ends):
            raise ConfigError(
                f"no such direction: {text!r}",
                expected="I2V, V2I, or a pair such as vis->vis, ir->ir, ir->all, all->all",
            )
        return cls(known[ends[0]], known[ends[1]])

    def __str__(self) -> str:
        return self.name


I2V = Direction(Modality.INFRARED, Modality.VISIBLE)
V2I = Direction(Modality.VISIBLE, Modality.INFRARED)
V2V = Direction(Modality.VISIBLE, Modality.VISIBLE)
I2I = Direction(Modality.INFRARED, Modality.INFRARED)
ALL = Direction(None, None)
