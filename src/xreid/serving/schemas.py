"""What goes in and out of the API; the OpenAPI description is made of these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from xreid.core.tracklets import Modality
from xreid.retrieval.columns import Filter
from xreid.retrieval.gallery import Entry
from xreid.serving.jobs import Job

Text = Annotated[str, Field(max_length=200)]
EntryId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[0-9a-f]+$")]
StoredId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Label = Annotated[str, Field(min_length=1, max_length=100)]
Word = Literal["confirmed", "rejected"]
Share = Annotated[float, Field(ge=0, le=1)]
Time = Annotated[float, Field(ge=-1e12, le=1e12, description="Unix seconds, or seconds of the video")]


class Model(BaseModel):
    """Unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Filters(Model):
    """Which tracklets may be found; empty lists filter nothing."""

    modality: Literal["vis", "ir"] | None = None
    cameras: list[Text] = Field(default=[], max_length=500)
    places: list[Text] = Field(default=[], max_length=500)
    from_s: Time | None = None
    to_s: Time | None = None
    known: bool = False
    other_cameras: bool = False
    min_quality: Share | None = None
    labels: list[Text] = Field(default=[], max_length=50)
    sets: list[Text] = Field(default=[], max_length=500)

    def rules(self) -> Filter:
        """As the gallery takes it."""
        return Filter(
            modality=None if self.modality is None else Modality(self.modality),
            cameras=tuple(self.cameras),
            places=tuple(self.places),
            from_s=self.from_s,
            to_s=self.to_s,
            known=self.known,
            other_cameras=self.other_cameras,
            min_quality=self.min_quality,
            labels=tuple(self.labels),
            sets=tuple(self.sets),
        )

    def set_ones(self) -> dict[str, Any]:
        """Those that filter, for the audit log."""
        return self.model_dump(exclude_defaults=True)


class TrackletView(Model):
    """A tracklet of the gallery."""

    id: str
    name: str
    set: str
    modality: Literal["vis", "ir"]
    camera: str | None
    place: str | None
    source: str | None
    start_s: float | None
    end_s: float | None
    frames: int
    quality: float | None
    modality_confidence: float | None
    identity: str | None
    labels: list[str]

    @classmethod
    def of(cls, entry: Entry) -> TrackletView:
        """From the gallery's row."""
        row = entry.tracklet
        return cls(
            id=entry.id,
            name=row.name,
            set=entry.stored.name,
            modality=row.modality.value,
            camera=row.camera,
            place=row.place,
            source=row.source,
            start_s=row.start_s,
            end_s=row.end_s,
            frames=len(row.frames),
            quality=row.quality,
            modality_confidence=row.modality_confidence,
            identity=row.identity,
            labels=list(entry.labels),
        )


class Page(Model):
    """One page of a list."""

    items: list[TrackletView]
    total: int = Field(description="How many pass the filter")
    next: str | None = Field(description="Cursor of the next page; null on the last")


class SetView(Model):
    """An embedding set of the gallery."""

    key: str
    name: str
    rows: int
    erased: int
    appended: str


class GalleryView(Model):
    """The gallery and what this server can do with it."""

    name: str
    tracklets: int
    sets: list[SetView]
    places: list[str]
    calibrated: bool
    note: str = Field(description="What a score means")
    holds: bool | None = Field(
        description="Whether the calibration holds here, by pairs that cannot be of one person "
        "(`xreid gallery strangers`): false where it surely does not; null: not checked, or too few pairs "
        "of one kind or more"
    )
    measured: str | None = Field(
        description="On whom probabilities were measured, and whether that was checked here, in a line"
    )
    model: str | None = Field(description="First digits of the SHA-256 of the weights")
    source: str | None
    licence: str | None
    uploads: bool = Field(description="Whether pictures can be searched for: the server has the model")
    imports: bool = Field(description="Whether files of the server's import folder can be taken in")
    footage: bool = Field(description="Whether moments of the recordings can be shown")
    graph: bool = Field(description="Whether space and time are judged: the server has a camera graph")
    upload_bytes: int
    version: str


class CameraView(Model):
    """What one camera has seen."""

    name: str | None
    place: str | None
    visible: int
    infrared: int
    first_s: float | None
    last_s: float | None
    hours: list[tuple[int, int]] = Field(
        description="Unix seconds of an hour's beginning, and tracklets in it"
    )


class LabelView(Model):
    """A label, and how many tracklets carry it."""

    label: str
    tracklets: int


class NewLabels(Model):
    """Labels to give to tracklets, and to take from them."""

    tracklets: list[EntryId] = Field(min_length=1, max_length=500)
    add: list[Label] = Field(default=[], max_length=20)
    remove: list[Label] = Field(default=[], max_length=20)


class TrackView(Model):
    """One of the tracks that a tracklet was joined from."""

    from_s: float | None = Field(description="On the clock of the tracklet's start_s")
    to_s: float | None
    first: int | None = Field(description="Which frame of the tracklet it begins with, from 0")
    last: int | None = Field(description="Which one it ends with")
    cosine: float | None = Field(description="With the track before it; null of the first")


class MomentView(Model):
    """Where a frame of a tracklet was cut from."""

    file: str = Field(description="The recording, as it was taken in")
    tracklet_frame: int | None = Field(description="Which frame of the tracklet it is, from 0")
    frame: int = Field(description="Number of the frame in the recording, from 1")
    offset_s: float | None = Field(description="Seconds from the recording's first frame; null for stills")
    time_s: float | None = Field(description="On the clock of the tracklet's start_s")
    box: tuple[float, float, float, float] = Field(description="Left, top, width, height in its pixels")
    camera: str | None
    from_s: float | None = Field(description="First second of the recording that shows the tracklet")
    to_s: float | None = Field(description="The last one")
    tracks: list[TrackView] = Field(description="What it was joined from; one where nothing was joined")
    shown: bool = Field(description="Whether the recording can be shown")
    why_not: str


class SignIn(Model):
    """A token, for a session."""

    token: str = Field(min_length=1, max_length=200)


class SessionView(Model):
    """Who is signed in."""

    name: str
    role: Literal["viewer", "operator", "admin"]
    csrf: str | None = Field(
        description="To be sent as X-CSRF-Token with each change; null without a session"
    )


class UploadView(Model):
    """A file that was sent."""

    id: str
    name: str
    what: Literal["image", "video"]
    format: str
    sha256: str
    size: int
    width: int
    height: int
    seconds: float
    likely: Literal["vis", "ir"] = Field(description="Modality, guessed from the colours")


class Cut(Model):
    """What of an upload shows the person."""

    upload: StoredId
    box: tuple[Share, Share, Share, Share] | None = Field(
        default=None, description="Left, top, right, bottom as shares of the picture; null for all of it"
    )
    from_s: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    to_s: Annotated[float, Field(ge=0, le=1e6)] | None = Field(
        default=None, description="Null for the end of the video"
    )


class NewQuery(Model):
    """Pictures to search for: all of one person."""

    cuts: list[Cut] = Field(min_length=1, max_length=16)
    modality: Literal["auto", "vis", "ir"] = "auto"
    name: Annotated[str, Field(max_length=80)] = ""


class QueryView(Model):
    """A query made of uploads."""

    id: str
    name: str
    modality: Literal["vis", "ir"]
    guessed: bool
    frames: int


class NewJob(Model):
    """Footage or embeddings to take in: an upload, or a path in the server's import folder."""

    kind: Literal["video", "embeddings"]
    name: Annotated[str, Field(pattern=r"^[\w.@ -]{1,60}$", description="Of the set in the gallery")]
    path: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    upload: StoredId | None = None
    camera: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    place: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    start: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="Time of the first frame, ISO 8601"
    )
    modality: Literal["auto", "vis", "ir"] = "auto"
    every: Annotated[int, Field(ge=1, le=1000)] = 1
    labels: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(default=[], max_length=20)


class JobView(Model):
    """Work in the background."""

    id: str
    kind: Literal["video", "embeddings"]
    name: str
    owner: str
    made: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    step: str
    done: int
    total: int
    finished: str
    problem: dict[str, str]
    result: dict[str, Any]

    @classmethod
    def of(cls, job: Job) -> JobView:
        """From what is stored."""
        return cls(**{name: getattr(job, name) for name in cls.model_fields})


class NewWatch(Model):
    """A person to watch for."""

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^/\\\x00-\x1f]+$")]
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    tracklets: list[EntryId] = Field(default=[], max_length=20)
    queries: list[StoredId] = Field(default=[], max_length=20)
    far: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=1e-3, description="False alarms per new tracklet; counts where no least score is named"
    )
    min_score: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        default=None, description="Least cosine, for models that are not calibrated"
    )
    expires_s: Annotated[float, Field(ge=0, le=2e11)] | None = Field(default=None, description="Unix seconds")
    past: bool = Field(default=False, description="Whether what is in the gallery already raises alerts")


class WatchView(Model):
    """A person who is watched for."""

    name: str
    reason: str
    by: str
    added: str
    expires: str | None
    expired: bool
    far: float | None
    min_score: float | None
    past: bool
    examples: list[str]


class CheckView(Model):
    """What a check of the watch list did."""

    new: int = Field(description="Alerts raised by it")
    watched: int
    expired: list[str]
    skipped: list[str] = Field(description="People whose examples another model embedded")
    failed: dict[str, str] = Field(description="People who cannot be looked for, and why; the others were")


class RuleView(Model):
    """The calibration of the day, and whether the strangers of the place had set its thresholds."""

    far: float
    calibration: str = Field(description="SHA-256 of its values")
    source: str
    checked: str | None


class CauseView(Model):
    """Why an alert was raised: what its score had to be above then."""

    least: float
    passed: float
    strangers: float | None
    rule: RuleView | None = Field(description="Null where somebody named the least score")
    words: str


class AlertView(Model):
    """A new tracklet that may show a watched person."""

    id: str
    person: str
    tracklet: TrackletView | None = Field(description="Null where it is not in the gallery any more")
    name: str
    score: float
    probability: float | None
    raised: str
    cause: CauseView | None = Field(description="Null of alerts from before that was written down")
    word: Literal["right", "wrong", "seen"] | None
    by: str | None


class NewWord(Model):
    """What is said of an alert."""

    word: Literal["right", "wrong", "seen"]
    note: Annotated[str, Field(max_length=500)] = ""


class Erasure(Model):
    """Whom to erase: names of tracklets, or people."""

    names: list[Name] = Field(default=[], max_length=10_000)
    identities: list[Name] = Field(default=[], max_length=1000)
    reason: Annotated[str, Field(max_length=1000)] = ""
    dry_run: bool = True


class AuditPage(Model):
    """Entries of the audit log, newest first."""

    entries: list[dict[str, Any]]
    count: int = Field(description="Of all entries")
    head: str = Field(description="Hash of the last entry: keep it elsewhere, then lines cut off show")
    intact: bool | None = Field(description="Whether the chain holds; null where not asked for")
    why: str


class ProblemView(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    expected: str | None = None
    got: str | None = None
    todo: str | None = None
    errors: list[dict[str, str]] | None = None
