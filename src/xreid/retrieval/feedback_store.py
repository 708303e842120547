"""Feedback kept by case: one JSON file each, replaced as a whole."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

from xreid.core.errors import ConfigError, DataError
from xreid.core.files import read_json, write_json
from xreid.retrieval.answers import changing
from xreid.retrieval.feedback import Feedback

_NAME = re.compile(r"\w[\w.-]{0,79}", re.ASCII)


class FeedbackStore:
    """The feedback of a folder of answers.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.answers, self.folder = folder, folder / "feedback"

    def load(self, case: str) -> Feedback:
        """What was said in a case; nothing in a new one.

        Raises:
            ConfigError: That is no name.
            DataError: The file is damaged.
        """
        path = self._path(case)
        return _read(path) if path.exists() else Feedback()

    def save(self, case: str, feedback: Feedback) -> None:
        """Write what was said in a case."""
        with changing(self.answers):
            write_json(self._path(case), asdict(feedback))

    def ids(self) -> set[str]:
        """All tracklets that something was said about."""
        said = [_read(path) for path in self._files()]
        return {one for feedback in said for one in (*feedback.confirmed, *feedback.rejected)}

    def forget(self, ids: Collection[str]) -> int:
        """Erase what was said about tracklets; returns how often something was."""
        count = 0
        for path in self._files() if ids else ():
            with changing(self.answers):
                before = _read(path)
                after = before.withdraw(*ids)
                count += len(before.confirmed + before.rejected) - len(after.confirmed + after.rejected)
                if after != before:
                    write_json(path, asdict(after))
        return count

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[!.]*.json")) if self.folder.is_dir() else []

    def _path(self, case: str) -> Path:
        if not _NAME.fullmatch(case):
            raise ConfigError("that is no name of a case", expected="letters, digits, . _ -", got=case[:40])
        return self.folder / f"{case}.json"


def _read(path: Path) -> Feedback:
    plain = read_json(path, what="feedback")
    try:
        return Feedback(confirmed=tuple(plain["confirmed"]), rejected=tuple(plain["rejected"]))
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged", got=str(error), todo="Remove it.") from error
