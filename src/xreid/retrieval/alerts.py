"""Alerts of a watch list: a log that is only ever appended, but for erasures.

A line is an alert or an acknowledgement. An id is made of the person, the time they were added and the
tracklet, so that checking twice raises nothing twice. A last line that a kill cut short is dropped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from xreid.core.errors import ConfigError, DataError, ProtocolError, XReidError
from xreid.core.files import atomic_file
from xreid.retrieval.alert_cause import Cause
from xreid.retrieval.answers import changing
from xreid.retrieval.kept import TRACKLET_ID
from xreid.retrieval.typed import record

FILE = "alerts.jsonl"
Word = Literal["right", "wrong", "seen"]
WORDS = ("right", "wrong", "seen")


@dataclass(frozen=True, kw_only=True)
class Acknowledgement:
    """What somebody said about an alert.

    Attributes:
        word: "right", "wrong", or only "seen".
        by: Who.
        at: When, ISO 8601 UTC.
        note: In words.
    """

    word: Word
    by: str
    at: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A new tracklet that may show a watched person.

    Attributes:
        id: 16 hexadecimal digits.
        person: Name on the watch list.
        tracklet_id: Id in the gallery.
        tracklet: Its name.
        camera: Its camera.
        modality: "vis" or "ir".
        start_s: When it was seen.
        score: Mean cosine with the person's examples.
        probability: That it shows the person, at the prior of `check_watch`; None without a calibration.
        raised: When the alert was raised, ISO 8601 UTC.
        cause: What its score had to be above then; None of alerts from before that was written down.
        acknowledged: The last that was said about it; None: nobody has looked.
    """

    id: str
    person: str
    tracklet_id: str
    tracklet: str
    camera: str | None
    modality: str
    start_s: float | None
    score: float
    probability: float | None
    raised: str
    cause: Cause | None = None
    acknowledged: Acknowledgement | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Said:
    """A line that says something about an alert."""

    alert: str
    said: Acknowledgement


def alert_id(person: str, added: str, tracklet_id: str) -> str:
    """The id of an alert."""
    return hashlib.sha256(f"{person}\0{added}\0{tracklet_id}".encode()).hexdigest()[:16]


class AlertLog:
    """The alerts of a folder of answers.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / FILE

    def alerts(self) -> list[Alert]:
        """All alerts in order of raising, with the last acknowledgement of each.

        Raises:
            DataError: The file is damaged.
        """
        found: dict[str, Alert] = {}
        for number, text in enumerate(self._texts()[0], start=1):
            try:
                line = _line_of(text)
            except ValueError as error:
                raise DataError(
                    f"line {number} of {self.path} is damaged",
                    got=str(error)[:200],
                    todo="Restore a backup, or remove that line.",
                ) from error
            if isinstance(line, Alert):
                found.setdefault(line.id, line)
            elif line.alert in found:
                found[line.alert] = replace(found[line.alert], acknowledged=line.said)
        return list(found.values())

    def tracklets(self) -> set[str]:
        """Ids of all tracklets that it names, also in lines that are damaged.

        Raises:
            DataError: The file cannot be read.
        """
        lines, torn = self._texts()
        found = {name.decode() for name in TRACKLET_ID.findall(torn)}
        for text in lines:
            try:
                line = _line_of(text)
            except ValueError:
                found |= {name.decode() for name in TRACKLET_ID.findall(text)}
            else:
                found |= {line.tracklet_id} if isinstance(line, Alert) else set()
        return found

    def add(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Append those that are not in the log; returns them. They are on the disk then."""
        with changing(self.folder):
            known = {alert.id for alert in self.alerts()}
            new = [alert for alert in alerts if alert.id not in known]
            self._append([_plain_alert(alert) for alert in new])
            return new

    def acknowledge(self, ids: Sequence[str], *, word: Word = "seen", by: str = "", note: str = "") -> None:
        """Say something about alerts; the last word counts.

        Raises:
            ProtocolError: There is no such alert; nothing is written.
            ConfigError: The word is none of right, wrong and seen.
        """
        if word not in WORDS:
            raise ConfigError("that is no word for an alert", expected=", ".join(WORDS), got=str(word))
        with changing(self.folder):
            known = {alert.id for alert in self.alerts()}
            missing = [name for name in ids if name not in known]
            if missing:
                raise ProtocolError(
                    f"there is no alert {missing[0]!r}", todo="See `xreid watch alerts GALLERY`."
                )
            at = datetime.now(UTC).isoformat(timespec="seconds")
            said = asdict(Acknowledgement(word=word, by=by, at=at, note=note))
            self._append([{"kind": "acknowledged", "alert": name, **said} for name in ids])

    def forget(self, *, tracklets: Collection[str] = (), people: Collection[str] = ()) -> int:
        """Erase alerts about tracklets and about watched people, with all that was said about them.

        The file is written anew. A damaged line goes where it names one of them, and stays otherwise.

        Returns:
            How many alerts.
        """
        if not self.path.exists():
            return 0
        with changing(self.folder):
            names, (lines, torn) = set[str](), self._texts()
            kept = [text for text in lines if not _tells_of(text, tracklets, people, names)]
            if len(kept) < len(lines) or torn:
                with atomic_file(self.path) as temporary:
                    temporary.write_bytes(b"".join(text + b"\n" for text in kept))
            return len(names)

    def _texts(self) -> tuple[list[bytes], bytes]:
        """Its lines, and what a kill has left of a last one."""
        try:
            data = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror}") from error
        whole = data.rfind(b"\n") + 1
        return data[:whole].splitlines(), data[whole:]

    def _append(self, lines: Sequence[dict[str, Any]]) -> None:
        if not lines:
            return
        try:
            with open(self.path, "a+b") as handle:
                handle.seek(0)
                whole = handle.read().rfind(b"\n") + 1
                handle.truncate(whole)  # half a line of a process that was killed
                handle.write("".join(_dump(line) for line in lines).encode())
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise XReidError(f"cannot write {self.path}: {error.strerror}") from error


def _line_of(text: bytes) -> Alert | _Said:
    """A line of the log; ValueError where it is damaged."""
    plain = json.loads(text)
    kind = plain.pop("kind", None) if isinstance(plain, dict) else None
    if kind == "alert":
        return record(Alert, plain)
    if kind != "acknowledged":
        raise ValueError(f"it is of kind {str(kind)[:40]}")
    name = record(str, plain.pop("alert", None), where="alert")
    return _Said(alert=name, said=record(Acknowledgement, plain))


def _tells_of(text: bytes, tracklets: Collection[str], people: Collection[str], names: set[str]) -> bool:
    """Whether a line must go; ids of alerts that go are put into `names`."""
    try:
        line = _line_of(text)
    except ValueError:
        return any(one.encode() in text for one in (*tracklets, *map(json.dumps, people)))
    if isinstance(line, _Said):
        return line.alert in names
    if line.tracklet_id not in tracklets and line.person not in people:
        return False
    names.add(line.id)
    return True


def _plain_alert(alert: Alert) -> dict[str, Any]:
    values = {name: value for name, value in asdict(alert).items() if name != "acknowledged"}
    return {"kind": "alert", **values}


def _dump(line: dict[str, Any]) -> str:
    return json.dumps(line, allow_nan=False) + "\n"
