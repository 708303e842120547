"""What to ingest: files, folders, lists of cameras, streams and devices -> recordings and streams."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from xreid.core.errors import ConfigError, DataError
from xreid.data.names import IMAGE_SUFFIXES, natural_key
from xreid.retrieval.ingest_config import IngestConfig, SourceOptions, parse_time
from xreid.retrieval.names_of_files import (
    NameFacts,
    Reader,
    container_start,
    name_reader,
    unix_time,
    usual_name,
)

_SUFFIXES = "mp4 m4v mov mkv webm avi ts m2ts mts mpg mpeg flv wmv asf 3gp dav h264 h265 264 265 hevc mjpeg"
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())
_LISTS = (".csv", ".yaml", ".yml")
_COLUMNS = ("camera", "place", "path", "url", "modality", "time_zone", "start")
_STREAM = re.compile(r"(?i)(rtsps?|rtmps?|https?|srt|udp|tcp|rtp|lavfi)://?.+|/dev/video\d+")

ModalityChoice = Literal["auto", "vis", "ir"]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One video file or folder of images.

    Attributes:
        path: The file or folder.
        name: Unique among the recordings of an ingest, safe in paths.
        label: The file's name below the folder or list that it was found by.
        camera: Name of the camera, or None.
        place: Where it stands, or None.
        modality: vis, ir or auto.
        start_s: Unix time of the first frame, or None where nothing says it.
        start_from: What says it: "option", "list", "name" or "container".
    """

    path: Path
    name: str
    label: str
    camera: str | None = None
    place: str | None = None
    modality: ModalityChoice = "auto"
    start_s: float | None = None
    start_from: str = ""

    def config(self, base: IngestConfig) -> IngestConfig:
        """The options of its ingest."""
        start = None if self.start_s is None else repr(self.start_s)
        return replace(base, camera=self.camera, place=self.place, modality=self.modality, start=start)


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A live camera.

    Attributes:
        address: URL, or a device such as /dev/video0.
        name: Unique among the streams, safe in paths.
        camera: Name of the camera.
        place: Where it stands, or None.
        modality: vis, ir or auto.
    """

    address: str
    name: str
    camera: str
    place: str | None = None
    modality: ModalityChoice = "auto"

    @property
    def shown(self) -> str:
        """The address without user and password, for files and messages."""
        return without_password(self.address)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What was asked for.

    Attributes:
        recordings: Files and folders of images, in natural order of their names.
        streams: Live cameras.
        single: One file or folder of images was named by itself: its tracklets go straight into OUT.
    """

    recordings: tuple[Recording, ...]
    streams: tuple[Stream, ...]
    single: bool


@dataclass(frozen=True, kw_only=True)
class _Found:
    path: Path
    label: str
    facts: Mapping[str, str]  # of a list


def find_sources(words: Sequence[str], *, options: SourceOptions, config: IngestConfig) -> Sources:
    """Everything that the words name.

    Camera, place and start come from, in this order: a list of cameras, the options, the file's name, the
    folder it lies in (camera), the container (start). A name that says nothing is the camera itself; one that
    was read and names no camera is a rolled file of the camera that the folder is called after.

    Args:
        words: Files, folders, lists of cameras (.csv, .yaml), URLs, devices.
        options: How to look.
        config: Camera, place, modality and start for all of them.

    Raises:
        ConfigError: A name does not fit the pattern, a time has no zone, or a list is malformed.
        DataError: Nothing is there.
    """
    reader = name_reader(options.name_pattern) if options.name_pattern else None
    found, streams = list[_Found](), list[Stream]()
    for word in words:
        if _STREAM.fullmatch(word):
            streams.append(_stream(word, {}, config))
        elif Path(word).suffix.lower() in _LISTS:
            for row in read_list(Path(word)):
                if "url" in row:
                    streams.append(_stream(row["url"], row, config))
                else:
                    place = (Path(word).parent / Path(row["path"]).expanduser()).resolve()
                    found += _below(place, row, options)
        else:
            found += _below(Path(word), {}, options)
    single = len(words) == 1 and len(found) == 1 and not streams and found[0].path == Path(words[0])
    recordings = [_recording(one, reader, options, config) for one in found]
    if config.start is not None and len(recordings) > 1:
        raise ConfigError("--start is for one recording", got=f"{len(recordings)} recordings")
    if config.tracks is not None and (len(recordings) != 1 or streams):
        raise ConfigError("--tracks is for one recording", got=f"{len(recordings)} recordings")
    return Sources(
        recordings=_with_unique_names(recordings), streams=_with_unique_names(streams), single=single
    )


def _below(path: Path, row: Mapping[str, str], options: SourceOptions) -> list[_Found]:
    if not path.is_dir():
        return [_Found(path=path, label=path.name, facts=row)]
    files = (p for p in path.glob(options.pattern or "**/*") if p.is_file())
    if not options.pattern:
        files = (p for p in files if p.suffix.lower() in VIDEO_SUFFIXES)
    videos = sorted(
        (p for p in files if not any(part.startswith(".") for part in p.relative_to(path).parts)),
        key=lambda p: natural_key(p.relative_to(path).as_posix()),
    )
    images = any(p.suffix.lower() in IMAGE_SUFFIXES for p in path.iterdir())
    if images and not options.pattern:
        if videos:
            raise DataError(
                f"{path} holds images and videos",
                todo='Say which: --pattern "*.mp4", or a folder of one kind.',
            )
        return [_Found(path=path, label=path.name, facts=row)]
    if not videos:
        what = f"files like {options.pattern}" if options.pattern else "videos or images"
        raise DataError(f"{path} holds no {what}", todo="Check the path, or give --pattern.")
    return [_Found(path=p, label=p.relative_to(path).as_posix(), facts=row) for p in videos]


def _recording(
    found: _Found, reader: Reader | None, options: SourceOptions, config: IngestConfig
) -> Recording:
    row, facts = found.facts, _facts(found, reader, options)
    known = facts or NameFacts()
    start_s, start_from = _start(found, known, config)
    return Recording(
        path=found.path,
        name=slug(found.label.rpartition(".")[0] or found.label),
        label=found.label,
        camera=row.get("camera") or config.camera or known.camera or _camera(found, rolled=facts is not None),
        place=row.get("place") or config.place or known.place,
        modality=_modality(row, config),
        start_s=start_s,
        start_from=start_from,
    )


def _camera(found: _Found, *, rolled: bool) -> str:
    """Of a file that names none: the folder below the one asked for; that folder itself; the file's name."""
    folder = found.label.rpartition("/")[0].replace("/", "-")
    above = found.path.absolute().parent.name if rolled else ""
    stem = "" if found.path.is_dir() else found.label.rpartition(".")[0]
    return folder or above or stem or found.label


def _facts(found: _Found, reader: Reader | None, options: SourceOptions) -> NameFacts | None:
    """What the file's name says; None where it has no known form."""
    stem = found.label.rpartition(".")[0] or found.label
    short = stem.rpartition("/")[2]
    if reader is None:
        return usual_name(short)
    facts = reader(stem if "/" in options.name_pattern else short)
    if facts is None:
        raise ConfigError(
            f"the name of {found.label} does not fit --name_pattern",
            expected=options.name_pattern,
            todo="Leave other files out by --pattern, or change the pattern.",
        )
    return facts


def _start(found: _Found, facts: NameFacts, config: IngestConfig) -> tuple[float | None, str]:
    zone = found.facts.get("time_zone") or config.time_zone
    what = f"the start of {found.label}"
    if text := found.facts.get("start"):
        return parse_time(text, option="start", time_zone=zone, what=what), "list"
    if config.start is not None:
        return parse_time(config.start, option="start", time_zone=zone, what="--start"), "option"
    if config.stills:
        return None, ""
    if facts.start is not None:
        return unix_time(facts.start, time_zone=zone, what=what), "name"
    try:
        made = container_start(found.path)
    except DataError:  # told when it is ingested, so that the other recordings are not lost for it
        made = None
    return (None, "") if made is None else (made.timestamp(), "container")


def _stream(address: str, row: Mapping[str, str], config: IngestConfig) -> Stream:
    camera = row.get("camera") or config.camera or slug(_short(address))
    return Stream(
        address=address,
        name=slug(camera),
        camera=camera,
        place=row.get("place") or config.place,
        modality=_modality(row, config),
    )


def _modality(row: Mapping[str, str], config: IngestConfig) -> ModalityChoice:
    chosen = row.get("modality") or config.modality
    if chosen not in ("auto", "vis", "ir"):
        raise ConfigError("a list of cameras has an unknown modality", expected="auto, vis or ir", got=chosen)
    return chosen  # type: ignore[return-value]


def _short(address: str) -> str:
    if address.startswith("/"):
        return Path(address).name
    parts = urlsplit(address)
    return f"{parts.hostname or ''}{parts.path}"


def _with_unique_names(rows: Sequence[Any]) -> tuple[Any, ...]:
    """The rows, with a number after names that occur again."""
    counts: Counter[str] = Counter()
    taken: set[str] = set()
    renamed = []
    for row in rows:
        name = row.name
        while name in taken:
            counts[row.name] += 1
            name = f"{row.name}_{counts[row.name] + 1}"
        taken.add(name)
        renamed.append(replace(row, name=name))
    return tuple(renamed)


def read_list(path: Path) -> list[dict[str, str]]:
    """A list of cameras: CSV with a header, or YAML (a list of mappings); empty values are left out.

    Raises:
        DataError: It cannot be read, has no row, an unknown column, or a row without one path or url.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the list of cameras {path}", got=str(error)) from error
    rows = list(_csv_rows(text) if path.suffix.lower() == ".csv" else _yaml_rows(text, path))
    if not rows:
        raise DataError(f"{path} lists no cameras", expected=f"columns {', '.join(_COLUMNS)}")
    for number, row in enumerate(rows, start=1):
        if unknown := row.keys() - set(_COLUMNS):
            raise DataError(
                f"{path}, camera {number}: unknown column",
                expected=", ".join(_COLUMNS),
                got=", ".join(sorted(unknown)),
            )
        if ("path" in row) == ("url" in row):
            raise DataError(f"{path}, camera {number}: give either a path or a url")
    return rows


def _csv_rows(text: str) -> Iterator[dict[str, str]]:
    for row in csv.DictReader(text.splitlines(), skipinitialspace=True):
        yield {str(key).strip(): str(value).strip() for key, value in row.items() if value not in (None, "")}


def _yaml_rows(text: str, path: Path) -> Iterator[dict[str, str]]:
    import yaml

    try:
        rows = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"{path} is no YAML", got=" ".join(str(error).split())[:200]) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} is no list of cameras", expected="a list of mappings, `- camera: gate`")
    for row in rows:
        yield {str(key): _text(value) for key, value in row.items() if value not in (None, "")}


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def slug(name: str) -> str:
    """A name that is safe in paths on every system."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "video"


def without_password(address: str) -> str:
    """An address without its user and password."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host))
