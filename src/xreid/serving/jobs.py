"""Work in the background: footage and embedding sets taken into the gallery, one at a time.

A job is a JSON file; a server that is killed goes on with it when it starts again, for both steps that take
long (cutting tracklets, embedding) resume where they were. They run in processes of their own, so that they
can be stopped, and so that a video made to harm a decoder harms nothing else.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from xreid.core.errors import XReidError
from xreid.core.files import read_json, sha256_of_value, write_json
from xreid.retrieval.cases import now
from xreid.retrieval.kept import new_id
from xreid.serving.backend import Backend
from xreid.serving.problems import Refusal
from xreid.serving.steps import CancelledError, Step, run_steps

State = Literal["queued", "running", "done", "failed", "cancelled"]
OVER = ("done", "failed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work.

    Attributes:
        id: 16 hexadecimal digits.
        kind: video or embeddings.
        name: Name of the set in the gallery.
        owner: Who asked for it.
        made: When, ISO 8601 UTC.
        content: Hash of what is taken in and of the options: the same is not taken in twice.
        source: Where it lies on this machine.
        upload: Id of the upload that it is; "" for a path.
        options: Of the ingest.
        labels: Given to every tracklet.
        key: The client's Idempotency-Key; "" without.
        state: See `State`.
        step: What is being done, in words.
        done: How much of the step.
        total: Of how much; 0 where unknown.
        finished: When it was over, ISO 8601 UTC; "" before.
        problem: Why it failed.
        result: What came of it.
    """

    id: str
    kind: Literal["video", "embeddings"]
    name: str
    owner: str
    made: str
    content: str
    source: str
    upload: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    key: str = ""
    state: State = "queued"
    step: str = "waiting"
    done: int = 0
    total: int = 0
    finished: str = ""
    problem: dict[str, str] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)


class Jobs:
    """The jobs of a server.

    Args:
        folder: Where they lie, with what they make.
        backend: What they append to.
    """

    def __init__(self, folder: Path, *, backend: Backend) -> None:
        self.folder, self.backend = folder, backend
        self.after: Callable[[Job], None] = lambda job: None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise XReidError(f"cannot write {folder}: {error.strerror}") from error
        self._lock, self._wake = threading.RLock(), threading.Condition()
        self._jobs = {job.id: job for job in map(_read, sorted(folder.glob("[0-9a-f]*.json")))}
        self._cancel: dict[str, threading.Event] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="xreid-jobs", daemon=True)

    def start(self) -> None:
        """Begin to work; jobs that were interrupted go on."""
        for job in self._jobs.values():
            if job.state == "running":
                self._update(job.id, state="queued", step="waiting")
        self._thread.start()

    def close(self) -> None:
        """Stop working; what was under way goes on at the next start."""
        self._closing.set()
        for event in list(self._cancel.values()):
            event.set()
        with self._wake:
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def all(self) -> list[Job]:
        """All jobs, newest first."""
        return sorted(self._jobs.values(), key=lambda job: (job.made, job.id), reverse=True)

    def get(self, name: str) -> Job:
        """A job.

        Raises:
            Refusal: 404: there is none.
        """
        try:
            return self._jobs[name]
        except KeyError:
            raise Refusal(404, f"there is no job {name[:40]}") from None

    def submit(self, job: Job) -> tuple[Job, bool]:
        """Queue a job; returns it, and whether it is new.

        The same content is not taken in twice: the job that has done it, or will, is returned instead.

        Raises:
            Refusal: 422: the Idempotency-Key was used for something else.
        """
        with self._lock:
            same_key = [
                j for j in self._jobs.values() if job.key and (j.key, j.owner) == (job.key, job.owner)
            ]
            if same_key and same_key[0].content != job.content:
                raise Refusal(
                    422, "the Idempotency-Key was used for another request", todo="Choose a new one."
                )
            alive = [
                j
                for j in self._jobs.values()
                if j.content == job.content and j.state in ("queued", "running", "done")
            ]
            if same_key or alive:
                return (same_key or alive)[0], False
            self._jobs[job.id] = job
            self._update(job.id)
        with self._wake:
            self._wake.notify_all()
        return job, True

    def cancel(self, name: str) -> Job:
        """Stop a job; what it has made so far is deleted.

        Raises:
            Refusal: 409: it is over.
        """
        with self._lock:
            job = self.get(name)
            if job.state in OVER:
                raise Refusal(409, f"the job is {job.state}")
            if job.state == "queued":
                return self._update(name, state="cancelled", step="", finished=now())
            if job.step == "append":
                raise Refusal(409, "the job is being appended, which takes a moment and is not undone here")
            self._cancel[name].set()
            return self._update(name, step="being cancelled")

    def counts(self) -> Counter[str]:
        """How many jobs are in each state."""
        return Counter(job.state for job in self._jobs.values())

    def uploads_in_use(self) -> set[str]:
        """Uploads that a job still needs."""
        return {job.upload for job in self._jobs.values() if job.state not in OVER}

    def _work(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                waiting = [job for job in self._jobs.values() if job.state == "queued"]
                job = min(waiting, key=lambda job: (job.made, job.id), default=None)
                if job is not None:
                    self._cancel[job.id] = threading.Event()
                    job = self._update(job.id, state="running", done=0, total=0)
            if job is None:
                with self._wake:
                    self._wake.wait(timeout=1.0)
                continue
            self._do(job)

    def _do(self, job: Job) -> None:
        def tell(step: str, done: int, total: int | None) -> None:
            self._update(job.id, write=False, step=step, done=done, total=total or 0)

        step = Step(
            folder=self.folder / f"{job.id}.work", backend=self.backend, tell=tell, stop=self._cancel[job.id]
        )
        try:
            result = run_steps(job, step)
        except CancelledError:
            if not self._closing.is_set():
                self._update(job.id, state="cancelled", step="", finished=now())
            return  # closing: it stays "running", and goes on at the next start
        except XReidError as error:
            told = {"detail": error.what, "expected": error.expected, "got": error.got, "todo": error.todo}
            self._fail(job, {name: text for name, text in told.items() if text})
            return
        except Exception as error:  # noqa: BLE001 (a job must not end the thread that does the next)
            self._fail(job, {"detail": f"{type(error).__name__}: {error}"})
            return
        self._update(job.id, state="done", step="", finished=now(), result=result)
        self.after(self._jobs[job.id])

    def _fail(self, job: Job, problem: dict[str, str]) -> None:
        self._update(job.id, state="failed", finished=now(), problem=problem)

    def _update(self, name: str, *, write: bool = True, **values: Any) -> Job:
        with self._lock:
            job = self._jobs[name] = replace(self._jobs[name], **values)
            if write:
                write_json(self.folder / f"{name}.json", asdict(job))
            return job


def content_of(*parts: object) -> str:
    """A hash of what a job takes in."""
    return sha256_of_value([str(part) for part in parts])


def new_job(**values: Any) -> Job:
    """A job that nobody has queued yet."""
    return Job(id=new_id(), made=now(), **values)


def _read(path: Path) -> Job:
    plain = read_json(path, what="job")
    try:
        return Job(**{**plain, "labels": tuple(plain["labels"])})
    except (KeyError, TypeError) as error:
        raise XReidError(f"job {path} is damaged", got=str(error), todo="Delete it.") from error
