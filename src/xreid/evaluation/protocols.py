"""Evaluation protocols as named, versioned values: a score without one cannot be compared with anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from xreid.core.errors import ConfigError
from xreid.core.files import sha256_of_value
from xreid.core.tracklets import TrackletTable
from xreid.evaluation.directions import I2V, V2I, Direction

Roles = Literal["pooled", "lists"]
SameCamera = Literal["drop", "drop-known", "keep"]


@dataclass(frozen=True, kw_only=True)
class ListSizes:
    """Sizes that a protocol's lists have on the real archive; they tell whether a score is comparable.

    Attributes:
        valid_queries: Queries that keep a positive.
        gallery: Gallery tracklets.
    """

    valid_queries: int
    gallery: int


@dataclass(frozen=True, kw_only=True)
class FrameRule:
    """Which frames of a test tracklet a published evaluator reads. Chosen by `xreid embed`, checked here.

    Attributes:
        sampling: The rule, as stored with the embeddings: "chunk-first", "linspace" or "dense".
        frames: Frames of a clip.
        shortest: Tracklets of fewer frames are in none of its lists.
    """

    sampling: str
    frames: int
    shortest: int = 1


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which tracklets ask, which answer, and which pairs do not count.

    Whatever the protocol, a tracklet never matches itself, and tracklets of unknown identity are left out
    and counted.

    Attributes:
        name: What is printed beside every score.
        version: Raised whenever a score could change.
        roles: "pooled": every test tracklet of the query modality asks, every one of the gallery modality
            answers (so V2I is the transpose of I2V). "lists": the table's query and gallery subsets.
        same_camera: What happens to gallery tracklets of the query's identity seen by the query's camera.
            "drop": do not count, and cameras must be known; "drop-known": do not count where both cameras
            are known; "keep": count.
        visible_batch: If positive, the last (number of visible rows modulo this) visible rows of the query
            list and of the gallery list are dropped, in file order, as a unimodal batch sampler does.
        query_list: "infrared" where the query list must hold all infrared test tracklets and no other.
        frames: Frames that the embeddings must be made of; None for any.
        summary: The rule in one sentence.
        published: Sizes on the real archive by direction name; not part of the hash.
    """

    name: str
    version: int
    roles: Roles
    same_camera: SameCamera
    visible_batch: int = 0
    query_list: Literal["infrared", "any"] = "any"
    frames: FrameRule | None = None
    summary: str = ""
    published: Mapping[str, ListSizes] = field(default_factory=dict, hash=False)

    @property
    def hash(self) -> str:
        """Eight hexadecimal digits of everything that can change a score."""
        rule: dict[str, Any] = {k: v for k, v in asdict(self).items() if k not in ("summary", "published")}
        if self.frames is None:
            del rule["frames"]  # younger than the hashes of the protocols that leave it open
        return sha256_of_value(rule)[:8]

    @property
    def base(self) -> str:
        """Name of the protocol that leaves the frames open: "hitsz-vcm" of "hitsz-vcm/frames6"."""
        return re.sub("[/-](frames|dense)[0-9]+$", "", self.name) if self.frames else self.name

    @property
    def label(self) -> str:
        """Name, version and hash, e.g. "hitsz-vcm v1 [1a2b3c4d]"."""
        return f"{self.name} v{self.version} [{self.hash}]"

    def has_published_sizes(self, direction: Direction, *, valid_queries: int, gallery: int) -> bool | None:
        """Whether the lists are as long as on the real archive; None where nothing is published."""
        sizes = self.published.get(direction.name)
        if sizes is None:
            return None
        return (sizes.valid_queries, sizes.gallery) == (valid_queries, gallery)


DEFAULT_DIRECTIONS = (I2V, V2I)

# Sizes: benchmarks.md 1.3, 2.3 and 3.4; every published Rank-k fits them.
HITSZ_VCM = Protocol(
    name="hitsz-vcm",
    version=1,
    roles="pooled",
    same_camera="drop",
    query_list="infrared",
    summary="All test tracklets of one modality ask all of the other; gallery tracklets of the query's "
    "identity AND camera are removed (cameras have one numbering for both modalities).",
    published={
        "I2V": ListSizes(valid_queries=4584, gallery=5099),
        "V2I": ListSizes(valid_queries=5099, gallery=4584),
    },
)
BUPT_CAMPUS_FULL = Protocol(
    name="bupt-campus/full",
    version=1,
    roles="lists",
    same_camera="keep",
    summary="The query list asks the gallery list; nothing is removed.",
    published={
        "I2V": ListSizes(valid_queries=536, gallery=2422),
        "V2I": ListSizes(valid_queries=540, gallery=2422),
    },
)
BUPT_CAMPUS_PAPER64 = Protocol(
    name="bupt-campus/paper64",
    version=1,
    roles="lists",
    same_camera="keep",
    visible_batch=64,
    summary="As bupt-campus/full without the last (number of RGB rows modulo 64) RGB rows of the query and "
    "of the gallery list, which the data set paper's own rows were computed without.",
    published={
        "I2V": ListSizes(valid_queries=522, gallery=2368),
        "V2I": ListSizes(valid_queries=512, gallery=2422),
    },
)
GENERIC = Protocol(
    name="generic",
    version=1,
    roles="pooled",
    same_camera="drop-known",
    summary="All tracklets of one modality ask all of the other (training rows only where there is nothing "
    "else); gallery tracklets of the query's identity and camera are removed where both cameras are known.",
)
GENERIC_LISTS = Protocol(
    name="generic/lists",
    version=1,
    roles="lists",
    same_camera="drop-known",
    summary="The table's query subset asks its gallery subset; gallery tracklets of the query's identity and "
    "camera are removed where both cameras are known.",
)


def _reading(protocol: Protocol, name: str, frames: FrameRule, *, who: str) -> Protocol:
    """The protocol as a published evaluator runs it, on frames of its choice."""
    shortest = f", no tracklet under {frames.shortest} frames" if frames.shortest > 1 else ""
    text = f"{protocol.summary} Frames: {frames.sampling}, {frames.frames} a clip{shortest} ({who})."
    return replace(protocol, name=name, version=1, frames=frames, summary=text)


# benchmarks.md 3.3. All rank by cosine; VLD's products of vectors of any length are not to be had from
# embeddings, which are stored at unit length.
HITSZ_VCM_FRAMES6 = _reading(
    HITSZ_VCM,
    "hitsz-vcm/frames6",
    FrameRule(sampling="chunk-first", frames=6, shortest=12),
    who="MITML, SAADG, M3-ReID",
)
HITSZ_VCM_FRAMES10 = _reading(
    HITSZ_VCM,
    "hitsz-vcm/frames10",
    FrameRule(sampling="chunk-first", frames=10, shortest=12),
    who="X-ReID's scores during training",
)
HITSZ_VCM_DENSE10 = _reading(
    HITSZ_VCM,
    "hitsz-vcm/dense10",
    FrameRule(sampling="dense", frames=10, shortest=12),
    who="X-ReID's final scores",
)
BUPT_CAMPUS_FRAMES10 = _reading(
    BUPT_CAMPUS_FULL,
    "bupt-campus/full-frames10",
    FrameRule(sampling="linspace", frames=10),
    who="the data set's evaluator on all rows",
)
BUPT_CAMPUS_FRAMES6 = _reading(
    replace(
        BUPT_CAMPUS_FULL,
        same_camera="drop",
        summary="The query list asks the gallery list; gallery tracklets of the query's identity and camera "
        "are removed, of which the real lists have none.",
    ),
    "bupt-campus/full-frames6",
    FrameRule(sampling="chunk-first", frames=6),
    who="M3-ReID",
)
BUPT_CAMPUS_PAPER64_FRAMES10 = _reading(
    BUPT_CAMPUS_PAPER64,
    "bupt-campus/paper64-frames10",
    FrameRule(sampling="linspace", frames=10),
    who="the data set paper's own rows",
)
BUPT_CAMPUS_PAPER64_FRAMES6 = _reading(
    BUPT_CAMPUS_PAPER64,
    "bupt-campus/paper64-frames6",
    FrameRule(sampling="linspace", frames=6),
    who="VLD's lists and frames; VLD itself ranks by products of vectors of any length",
)

PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        HITSZ_VCM,
        HITSZ_VCM_FRAMES6,
        HITSZ_VCM_FRAMES10,
        HITSZ_VCM_DENSE10,
        BUPT_CAMPUS_FULL,
        BUPT_CAMPUS_FRAMES10,
        BUPT_CAMPUS_FRAMES6,
        BUPT_CAMPUS_PAPER64,
        BUPT_CAMPUS_PAPER64_FRAMES10,
        BUPT_CAMPUS_PAPER64_FRAMES6,
        GENERIC,
        GENERIC_LISTS,
    )
}


def protocol_named(name: str, *, table: TrackletTable) -> Protocol:
    """The protocol of that name; "auto" chooses by the table's source.

    Auto: HITSZ-VCM -> hitsz-vcm; BUPTCampus with a query list -> bupt-campus/full; else generic.

    Raises:
        ConfigError: There is no protocol of that name.
    """
    if name == "auto":
        return _automatic(table)
    if name not in PROTOCOLS:
        raise ConfigError(f"no such protocol: {name!r}", expected=f"auto, {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _automatic(table: TrackletTable) -> Protocol:
    source = table.source.lower()
    if "hitsz-vcm" in source:
        return HITSZ_VCM
    if "bupt-campus" in source and any(row.subset == "query" for row in table):
        return BUPT_CAMPUS_FULL
    return GENERIC
