"""Small readers shared by the layouts: text lines, modality words, image files in natural order."""

from __future__ import annotations

import re
from pathlib import Path

from xreid.core.errors import DataError
from xreid.core.tracklets import Modality

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
SUBSETS = ("train", "auxiliary", "query", "gallery")
SIMULATION_MARK = "simulation.json"
SIMULATION_LICENCE = "synthetic data, no restriction"

_WORDS = {
    Modality.VISIBLE: ("vis", "visible", "rgb", "color", "colour"),
    Modality.INFRARED: ("ir", "nir", "infrared", "thermal"),
}
_MODALITIES = {word: modality for modality, words in _WORDS.items() for word in words}


def modality_of(word: str) -> Modality | None:
    """The modality a word such as "RGB", "vis" or "thermal" stands for, or None."""
    return _MODALITIES.get(word.strip().lower())


def modality_words() -> str:
    """Every accepted modality word, for messages."""
    return ", ".join(_MODALITIES)


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key that puts 2.jpg before 10.jpg."""
    parts = re.split(r"(\d+)", text)
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part)


def read_lines(path: Path, *, what: str) -> list[str]:
    """Lines of a text file without line ends, trailing blanks and trailing empty lines.

    Raises:
        DataError: The file is missing or not UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{what} {path} is not text", expected="UTF-8", got=str(error)) from error
    except OSError as error:
        raise DataError(
            f"cannot read {what} {path}: {error.strerror}", todo="Check the root folder and the download."
        ) from error
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def malformed(path: Path, number: int, line: str, *, expected: str) -> DataError:
    """The error for a bad list line; `number` counts from 1."""
    return DataError(
        f"{path}, line {number} is malformed",
        expected=expected,
        got=repr(line[:80]),
        todo="Download the file again, or mend that line.",
    )


def licence_of(root: Path, *, terms: str) -> str:
    """The licence of an archive: `terms`, or none where the simulator's mark lies beside it."""
    return SIMULATION_LICENCE if (root / SIMULATION_MARK).is_file() else terms


def entries_of(root: Path, *, limit: int = 8) -> str:
    """The first names inside a folder, for messages."""
    names = sorted(entry.name for entry in root.iterdir())
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "an empty folder") + more
