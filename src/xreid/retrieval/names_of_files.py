"""Camera and start of a recording, read from its file name or its container."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from xreid.core.errors import ConfigError

# Camera, date and time with any usual separators; a trailing Z or offset is the zone.
_USUAL = re.compile(
    r"(?:(?P<camera>.+?)[_\- .@])?"
    r"(?P<year>(?:19|20)\d\d)(?P<a>[-_.]?)(?P<month>\d\d)(?P=a)(?P<day>\d\d)"
    r"[T_\- ]?(?P<hour>\d\d)(?P<b>[-_.:h]?)(?P<minute>\d\d)(?P=b)(?P<second>\d\d)(?P<part>[.,]\d{1,6})?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?"
)
_DIRECTIVES = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "j": r"\d{3}",
    "f": r"\d{1,6}",
    "z": r"(?:Z|[+-]\d{2}:?\d{2})",
    "s": r"\d{9,10}",
    **dict.fromkeys("mdHIMS", r"\d{2}"),
    "b": r"[A-Za-z]{3}",
    "p": r"[AaPp][Mm]",
}
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # before it a container's time is a clock that was never set


@dataclass(frozen=True, kw_only=True)
class NameFacts:
    """What a file name says; None where it does not.

    Attributes:
        camera: The camera.
        place: Where it stands.
        start: Time of the first frame; without a zone where the name has none.
    """

    camera: str | None = None
    place: str | None = None
    start: datetime | None = None


Reader = Callable[[str], NameFacts | None]


def usual_name(name: str) -> NameFacts | None:
    """cam3_20261120T213000Z, gate-2026-11-20_21-30-00, 20261120213000+0100 and the like, without suffix."""
    found = _USUAL.fullmatch(name)
    if found is None:
        return None
    part = (found["part"] or ".0")[1:].ljust(6, "0")
    numbers = [int(found[key]) for key in ("year", "month", "day", "hour", "minute", "second")]
    try:
        start = datetime(*numbers, int(part))  # type: ignore[arg-type,call-arg]
    except ValueError:
        return None
    zone = datetime.strptime(found["zone"], "%z").tzinfo if found["zone"] else None
    return NameFacts(camera=found["camera"], start=start.replace(tzinfo=zone))


def name_reader(template: str) -> Reader:
    """A reader of names like a template: {camera}_{start:%Y%m%dT%H%M%S}, {place}, and {*} for anything.

    A Z after the last directive of `start` means UTC.

    Raises:
        ConfigError: The template has no field, an unknown one, or a directive that is not known here.
    """
    pattern, formats = "", list[str]()
    for text, field in re.findall(r"([^{]*)(\{[^}]*\})?", template):
        pattern += re.escape(text)
        if not field:
            continue
        name, _, form = field[1:-1].partition(":")
        if name in ("camera", "place") and not form:
            pattern += f"(?P<{name}>.+?)"
        elif name == "*" and not form:
            pattern += ".*?"
        elif name == "start" and form:
            pattern += f"(?P<start>{_of_format(form)})"
            formats.append(form)
        else:
            raise _wrong_template(template)
    if not re.search(r"\(\?P<", pattern) or len(formats) > 1:
        raise _wrong_template(template)
    try:
        compiled = re.compile(pattern)
    except re.error:  # a field twice
        raise _wrong_template(template) from None
    return lambda name: _read(compiled, formats, name)


def _read(pattern: re.Pattern[str], formats: list[str], name: str) -> NameFacts | None:
    found = pattern.fullmatch(name)
    if found is None:
        return None
    facts = found.groupdict()
    start = None
    if formats:
        try:
            start = _time(facts["start"], formats[0])
        except ValueError:
            return None
    return NameFacts(camera=facts.get("camera"), place=facts.get("place"), start=start)


def _time(text: str, form: str) -> datetime:
    if form == "%s":
        return datetime.fromtimestamp(int(text), UTC)
    moment = datetime.strptime(text, form)
    return moment.replace(tzinfo=UTC) if form.endswith("Z") and moment.tzinfo is None else moment


def _of_format(form: str) -> str:
    def known(found: re.Match[str]) -> str:
        if found[1] not in _DIRECTIVES:
            raise ConfigError(
                f"--name_pattern: %{found[1]} is not known here", expected="%Y %m %d %H %M %S %z %s"
            )
        return _DIRECTIVES[found[1]]

    return "".join(
        re.sub("%(.)", known, piece) if piece.startswith("%") else re.escape(piece)
        for piece in re.split("(%.)", form)
    )


def _wrong_template(template: str) -> ConfigError:
    return ConfigError(
        "--name_pattern is no pattern",
        expected="fields {camera}, {place}, {start:%Y%m%dT%H%M%S}, {*}, each at most once",
        got=template,
    )


def zone(name: str) -> tzinfo:
    """The time zone of that name (Europe/Berlin, UTC).

    Raises:
        ConfigError: There is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            "there is no such time zone", expected="a name such as Europe/Berlin or UTC", got=name
        ) from None


def unix_time(moment: datetime, *, time_zone: str | None, what: str) -> float:
    """Unix seconds of a time; a local one is taken in the zone (the earlier, where clocks were put back).

    Args:
        moment: With or without a zone.
        time_zone: Name of the zone of local times.
        what: Begins the message, e.g. "the start of gate.mp4".

    Raises:
        ConfigError: It is a local time, and no zone is given.
    """
    if moment.tzinfo is None:
        if time_zone is None:
            raise ConfigError(
                f"{what}, {moment.isoformat()}, has no time zone",
                todo="Say where the clocks stand: --time_zone Europe/Berlin (or UTC).",
            )
        moment = moment.replace(tzinfo=zone(time_zone))
    return moment.timestamp()


def container_start(path: Path) -> datetime | None:
    """When the file's container says that it was made; None where it does not, or a clock was never set.

    MP4, MOV and Matroska store it in UTC. A copy made by a converter carries the time of the conversion.

    Raises:
        DataError: The file is no video.
    """
    from xreid.retrieval.video import open_container

    if path.is_dir():
        return None
    with open_container(path) as container:
        owners = (container, *container.streams)
        texts = [owner.metadata.get("creation_time") for owner in owners]
    for text in filter(None, texts):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            continue
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if aware > _EARLIEST:
            return aware
    return None
