"""Taking in footage and embedding sets, in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from xreid.core.embeddings import EmbeddingSet
from xreid.core.files import sha256_of_file
from xreid.retrieval.ingest_config import IngestConfig
from xreid.serving.auth import Here, Operator, Viewer
from xreid.serving.ids import Id
from xreid.serving.jobs import Job, content_of, new_job
from xreid.serving.problems import Refusal
from xreid.serving.schemas import JobView, NewJob
from xreid.serving.site import Site
from xreid.serving.sniff import HEAD_BYTES, kind_of

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])
_KEY = Header(max_length=100, description="The same key and request give the same job")


@router.get("")
def list_jobs(who: Viewer, site: Here, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> list[JobView]:
    """All jobs, newest first."""
    return [JobView.of(job) for job in site.jobs.all()[:limit]]


@router.post(
    "", status_code=202, responses={200: {"model": JobView, "description": "It was asked for before"}}
)
def take_in(
    asked: NewJob,
    who: Operator,
    site: Here,
    response: Response,
    idempotency_key: Annotated[str | None, _KEY] = None,
) -> JobView:
    """Take footage or an embedding set into the gallery. The same content is not taken in twice."""
    if (asked.path is None) == (asked.upload is None):
        raise Refusal(422, "one of path and upload must say what to take in")
    job = _video(site, asked, who.name) if asked.kind == "video" else _embeddings(site, asked)
    queued, is_new = site.jobs.submit(new_job(**job, owner=who.name, key=idempotency_key or ""))
    if is_new:
        site.audit.write(
            who.name, "ingest", {"job": queued.id, "kind": queued.kind, "content": queued.content}
        )
    else:
        response.status_code = 200
    return JobView.of(queued)


@router.get("/{job_id}")
def one_job(job_id: Id, who: Viewer, site: Here) -> JobView:
    """How far a job is."""
    return JobView.of(site.jobs.get(job_id))


@router.delete("/{job_id}")
def cancel_job(job_id: Id, who: Operator, site: Here) -> JobView:
    """Stop a job; what it made so far is deleted."""
    job: Job = site.jobs.cancel(job_id)
    site.audit.write(who.name, "ingest cancelled", {"job": job_id})
    return JobView.of(job)


def _video(site: Site, asked: NewJob, who: str) -> dict[str, Any]:
    site.backend.require_model()
    if asked.upload is not None:
        upload = site.uploads.get(asked.upload)
        if upload.owner != who or upload.kind.what != "video":
            raise Refusal(422, f"upload {asked.upload} is no video of yours")
        source, sha256 = site.uploads.path(upload), upload.sha256
    else:
        source = _imported(site, asked.path or "")
        _require_video(source)
        sha256 = sha256_of_file(source)
    options = {name: getattr(asked, name) for name in ("camera", "place", "start", "modality", "every")}
    options = {name: value for name, value in options.items() if value is not None}
    options.setdefault("camera", asked.name)
    IngestConfig(**options)  # a malformed time is told now, not by the job
    return {
        "kind": "video",
        "name": asked.name,
        "source": str(source.resolve()),
        "upload": asked.upload or "",
        "options": options,
        "labels": tuple(asked.labels),
        "content": content_of("video", sha256, sorted(options.items()), sorted(asked.labels)),
    }


def _embeddings(site: Site, asked: NewJob) -> dict[str, Any]:
    if asked.path is None:
        raise Refusal(
            422, "embedding sets are taken in by path", todo="Put it into the server's import folder."
        )
    folder = _imported(site, asked.path)
    found = EmbeddingSet.load(folder)
    if found.table.root.is_absolute() and not found.table.root.is_dir():
        raise Refusal(
            422, "the frames of the embedding set are not on this machine", got=str(found.table.root)
        )
    return {
        "kind": "embeddings",
        "name": asked.name,
        "source": str(folder),
        "labels": tuple(asked.labels),
        "content": content_of("embeddings", sha256_of_file(folder / "vectors.npy"), sorted(asked.labels)),
    }


def _imported(site: Site, path: str) -> Path:
    """A path inside of the import folder; what leads out of it, by dots or links, is not there."""
    root = site.config.imports
    if root is None:
        raise Refusal(409, "this server takes in nothing by path", todo="Start it with --imports FOLDER.")
    if "\0" in path:
        raise Refusal(422, "the path holds a zero byte")
    root = root.resolve()
    found = (root / path).resolve()
    if found == root or not found.is_relative_to(root) or not found.exists():
        raise Refusal(404, f"the import folder has no {path!r}")
    return found


def _require_video(path: Path) -> None:
    if not path.is_file():
        raise Refusal(422, "that is no file", expected="a video")
    with open(path, "rb") as file:
        kind = kind_of(file.read(HEAD_BYTES))
    if kind is None or kind.what != "video":
        raise Refusal(415, "the file is no video that is known here", expected="MP4, MKV, AVI, MPEG, ...")
