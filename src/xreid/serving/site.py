"""Everything one running server holds, in one place; the API's functions get it from the application."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from fastapi import Request

from xreid.core.errors import XReidError
from xreid.retrieval.audit import AuditLog, tell_where
from xreid.retrieval.cases import Cases
from xreid.retrieval.gallery_address import Address
from xreid.retrieval.gallery_receipts import Receipt
from xreid.retrieval.uploaded_queries import Queries
from xreid.serving.backend import Backend
from xreid.serving.clips import Clips
from xreid.serving.config import ServeConfig
from xreid.serving.footage import Footage
from xreid.serving.jobs import Jobs
from xreid.serving.metrics import Metrics
from xreid.serving.sessions import Attempts, Sessions
from xreid.serving.tokens import TokenFile
from xreid.serving.uploads import Uploads


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running server.

    Attributes:
        config: Its settings.
        backend: Gallery and model.
        tokens: Who may do what; None where everybody on this machine may do everything.
        sessions: Of browsers.
        attempts: Failed ones to sign in.
        audit: The log of searches and changes.
        clips: Moving pictures.
        uploads: Files that were sent.
        queries: What was made of them.
        cases: What operators work on.
        jobs: Work in the background.
        metrics: Figures for Prometheus.
        footage: Shows moments of recordings.
        lock: No other server uses the state while it is open.
    """

    config: ServeConfig
    backend: Backend
    tokens: TokenFile | None
    sessions: Sessions
    attempts: Attempts
    audit: AuditLog
    clips: Clips
    uploads: Uploads
    queries: Queries
    cases: Cases
    jobs: Jobs
    metrics: Metrics
    footage: Footage
    lock: IO[str]

    @classmethod
    def open(cls, config: ServeConfig) -> Site:
        """Open gallery and state.

        Raises:
            XReidError: The gallery cannot be opened, the state cannot be written, or another server uses it.
        """
        config.require_files()
        state: Path = config.state_folder
        backend = Backend(
            config.gallery,
            checkpoint=config.checkpoint,
            answers=None if Address.parse(config.gallery) is None else state / "answers",
            graph=config.graph,
        )
        tokens = None if config.token_file is None else TokenFile(config.token_file)
        lock = _locked(state)
        try:
            audit = AuditLog(state / "audit.jsonl")
            tell_where(backend.answers, audit.path)
            backend.gallery.on_finished(partial(_write_finished, audit))
            return cls._opened(config, state, backend=backend, tokens=tokens, audit=audit, lock=lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def _opened(
        cls,
        config: ServeConfig,
        state: Path,
        *,
        backend: Backend,
        tokens: TokenFile | None,
        audit: AuditLog,
        lock: IO[str],
    ) -> Site:
        limits, clips = config.limits, Clips(state / "clips")
        return cls(
            config=config,
            backend=backend,
            tokens=tokens,
            sessions=Sessions(idle_s=60 * limits.session_minutes),
            attempts=Attempts(),
            audit=audit,
            clips=clips,
            uploads=Uploads(state / "uploads", limits=limits),
            queries=Queries(backend.answers),
            cases=Cases(backend.answers),
            jobs=Jobs(state / "jobs", backend=backend),
            metrics=Metrics(),
            lock=lock,
            footage=Footage(config.footage, work=state / "work", clips=clips, limits=limits),
        )

    def sweep(self) -> None:
        """Delete uploads and queries whose time is over, and clips that nobody has looked at for as long."""
        over_s = 60 * self.config.limits.keep_minutes
        self.clips.sweep(older_than_s=over_s)
        self.uploads.kept.sweep(older_than_s=over_s, spare=self.jobs.uploads_in_use())
        self.queries.kept.sweep(older_than_s=over_s, spare=self.cases.queries_in_use())

    def close(self) -> None:
        """Stop the work in the background and let go of the files."""
        self.jobs.close()
        self.audit.close()
        self.lock.close()


def _write_finished(audit: AuditLog, receipt: Receipt) -> None:
    audit.write("xreid", "erasure finished", {"receipt": receipt.id, "tracklets": receipt.tracklets})


def _locked(state: Path) -> IO[str]:
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = open(state / ".lock", "a")  # noqa: SIM115 (held as long as the server runs)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    except BlockingIOError as error:
        lock.close()
        raise XReidError(
            f"another server writes {state}", todo="Stop it, or give this one another --state."
        ) from error
    except OSError as error:
        raise XReidError(f"cannot write {state}: {error.strerror}") from error


def site_of(request: Request) -> Site:
    """The server that a request came to."""
    site: Site = request.app.state.site
    return site
