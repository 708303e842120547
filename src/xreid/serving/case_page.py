"""A case as one self-contained HTML file with the SHA-256 of each of its parts, and the check of such a file.

The parts are the pictures as embedded and the record (a JSON text inside the page). The record lists the hash
of each picture and of the source frame's bytes, so its one hash stands for them all. The hash of the whole
file cannot stand in it: it is in the audit log and in the answer's headers.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xreid
from xreid.core.errors import DataError
from xreid.core.pages import render_template
from xreid.core.tracklets import Tracklet
from xreid.retrieval.page import name_of, show_span
from xreid.serving.clips import read_frame

if TYPE_CHECKING:
    from xreid.retrieval.cases import Case, Judgement
    from xreid.serving.site import Site

_FRAMES, _HEIGHT = 6, 240
_GROUPS = ("searched_for", "confirmed", "rejected")  # in the order of the page
_RECORD = re.compile(r'<script type="application/json" id="record">(.*?)</script>', re.DOTALL)
_PICTURE = re.compile(r'src="data:image/jpeg;base64,([A-Za-z0-9+/=]+)"')


def case_page(site: Site, case: Case, *, exported_by: str, at: str) -> tuple[str, str]:
    """The page of a case, and the SHA-256 of its bytes."""
    judged = {one.tracklet: one for one in case.judgements}
    entries = {entry.id: entry for entry in site.backend.known([*case.tracklets, *judged])}
    searched = [_part(entries[i].tracklet, entries[i].root, i) for i in case.tracklets if i in entries]
    for stored in site.queries.known(case.queries):
        part = _part(stored.tracklet, site.queries.root(stored), stored.id)
        searched.append({**part, "uploads": list(dict.fromkeys(stored.uploads))})
    groups = {"searched_for": searched}
    for verdict in ("confirmed", "rejected"):
        chosen = [judged[i] for i in judged if judged[i].verdict == verdict and i in entries]
        parts = [
            _judged(_part(entries[j.tracklet].tracklet, entries[j.tracklet].root, j.tracklet), j)
            for j in chosen
        ]
        groups[verdict] = sorted(parts, key=lambda part: (part["start_s"] is None, part["start_s"] or 0.0))
    record = _record(site, case, groups, exported_by=exported_by, at=at)
    html = render_template("serving/case.html", {**_shown(record, groups), "case": asdict(case), "at": at})
    return html, hashlib.sha256(html.encode()).hexdigest()


def check_case(path: Path) -> list[str]:
    """What of an exported case does not hold; empty where every hash in it fits.

    Raises:
        DataError: The file cannot be read, or is no exported case.
    """
    try:
        html = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}", got=str(error)) from error
    found = _RECORD.search(html)
    stated = re.search(r'id="record-sha256">([0-9a-f]{64})<', html)
    if found is None or stated is None:
        raise DataError(f"{path} is no exported case", expected="a page with a record inside")
    text = _unescaped(found[1])
    faults = [] if _sha256(text.encode()) == stated[1] else ["the record does not fit its hash"]
    record = json.loads(text)
    parts = [part for name in _GROUPS for part in record["parts"][name]]
    wanted = [one["sha256"] for part in parts for one in part["pictures"]]
    pictures = [_sha256(base64.b64decode(data)) for data in _PICTURE.findall(html)]
    faults += [
        f"picture {n} is not the one exported"
        for n, (a, b) in enumerate(zip(wanted, pictures, strict=False), 1)
        if a != b
    ]
    if len(wanted) != len(pictures):
        faults.append(f"it has {len(pictures)} pictures where {len(wanted)} were exported")
    return faults


def _part(row: Tracklet, root: Path, name: str) -> dict[str, Any]:
    count = len(row.frames)
    chosen = [(2 * i + 1) * count // (2 * min(_FRAMES, count)) for i in range(min(_FRAMES, count))]
    return {
        "id": name,
        "name": row.name,
        "modality": row.modality.value,
        "camera": row.camera,
        "place": row.place,
        "source": row.source,
        "start_s": row.start_s,
        "end_s": row.end_s,
        "frames": count,
        "who": None,
        "at": None,
        "uploads": [],
        "_span": show_span(row),
        "_modality": name_of(row.modality),
        "pictures": [one for number in chosen if (one := _picture(root, row.frames[number], number))],
    }


def _picture(root: Path, frame: str, number: int) -> dict[str, Any] | None:
    image = read_frame(root, frame)
    if image is None:
        return None
    if image.height > _HEIGHT:
        image = image.resize((max(1, image.width * _HEIGHT // image.height), _HEIGHT))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    data = buffer.getvalue()
    return {
        "frame": number,
        "sha256": _sha256(data),
        "source_sha256": _sha256((root / frame).read_bytes()),
        "_data": base64.b64encode(data).decode(),
    }


def _judged(part: dict[str, Any], judgement: Judgement) -> dict[str, Any]:
    return {**part, "who": judgement.who, "at": judgement.at}


def _record(site: Site, case: Case, groups: dict[str, Any], *, exported_by: str, at: str) -> str:
    origin, head = site.backend.gallery.origin, site.audit.head
    record = {
        "format": 1,
        "case": asdict(case),
        "exported_by": exported_by,
        "exported": at,
        "gallery": site.backend.gallery.name,
        "model": None if origin is None else origin.checkpoint,
        "audit": {"count": head.count, "hash": head.hash},
        "xreid": xreid.__version__,
        "parts": _plain(groups),
    }
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """Without what is only shown."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if not name.startswith("_")}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _shown(record: str, groups: dict[str, Any]) -> dict[str, Any]:
    plain = json.loads(record)
    return {
        "groups": groups,
        "record": record.replace("<", "\\u003c"),
        "record_sha256": _sha256(record.encode()),
        "facts": {name: plain[name] for name in ("gallery", "model", "exported_by", "audit", "xreid")},
    }


def _unescaped(text: str) -> str:
    return text.replace("\\u003c", "<")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
