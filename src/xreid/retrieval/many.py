"""Many recordings into one folder: each an ingest of its own, side by side, and one table of all.

OUT/recordings/NAME/    as `ingest` writes it
OUT/recordings.json     camera, start, report or fault of every recording
OUT/tracklets.parquet   the rows of all of them, frames relative to OUT; likewise moments and quality

Files of a camera that follow each other are ingested in order, and people go on over the cut (`followed`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import xreid
from xreid.core.errors import ConfigError, DataError, XReidError
from xreid.core.files import read_json, sha256_of_value, write_json
from xreid.retrieval.detect_auto import choose_detector
from xreid.retrieval.folder_lock import sole_writer
from xreid.retrieval.followed import Followed, Neighbours, after, as_begun, in_chains
from xreid.retrieval.ingest_config import IngestConfig, IngestReport
from xreid.retrieval.merge import RECORDINGS, merge, report_of
from xreid.retrieval.retention import LIST, forget, go_on, limit_s
from xreid.retrieval.sources import Recording
from xreid.retrieval.workers import Outcome, Task, new_queue, pool, run_task

_POLL_S = 0.2

Tell = Callable[[float, float], None]
Note = Callable[[str], None]
Elsewhere = Callable[[Sequence[Sequence[Task]]], Iterator[Outcome]]  # of chains of tasks


@dataclass(frozen=True, kw_only=True)
class ManyReport:
    """What came of many recordings.

    Attributes:
        total: Sums over them.
        recordings: How many were asked for.
        failed: What is wrong with those that could not be ingested, by name.
    """

    total: IngestReport
    recordings: int
    failed: dict[str, str] = field(default_factory=dict)


def ingest_recordings(
    recordings: Sequence[Recording],
    out: Path,
    *,
    config: IngestConfig,
    jobs: int = 1,
    elsewhere: Elsewhere | None = None,
    follow: bool = True,
    keep_days: float | None = None,
    tell: Tell = lambda done, total: None,
    note: Note = lambda text: None,
) -> ManyReport:
    """Ingest recordings into `out`; called again it goes on, and takes up recordings that came since.

    Args:
        recordings: What to ingest.
        out: Folder to write; new, empty, or of such an ingest.
        config: Options of all of them; camera, place, modality and start are each recording's own.
        jobs: Processes side by side; 1 works in this one.
        elsewhere: Does chains of tasks in some other way (`xreid.distribution.ingesting`), in any order.
        follow: Follow people from one file of a camera into the next; without it no file waits for another.
        keep_days: Days that a tracklet is kept after its end; what is older goes, or is not ingested at all.
        tell: Called with bytes of footage done and to do.
        note: Called with remarks.

    Raises:
        ConfigError: `out` holds something else, another process writes it, or an option is wrong.
        XReidError: `out` cannot be written, or a process was killed.
    """
    check_folder(out)
    if config.tracks is None:
        config = replace(config, detector=choose_detector(config.detector, device=config.device, note=note))
    with sole_writer(out / RECORDINGS):
        go_on(out)
        before_s = None if keep_days is None else limit_s(keep_days)
        many = _Many(recordings, out, config=config, before_s=before_s, tell=tell, note=note)
        many.follow = follow
        try:
            for outcome in many.work(jobs, elsewhere):
                many.add(outcome)
        finally:
            many.save()
        if before_s is not None:
            merge(out)
            forget(out, before_s=before_s, note=note)
        return ManyReport(total=merge(out), recordings=len(recordings), failed=many.failed())


def check_folder(out: Path) -> None:
    """Refuse a folder that holds something else than recordings.

    Raises:
        ConfigError: It does.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is no folder", todo="Choose another one.")
    if out.is_dir() and any(out.iterdir()) and not (out / RECORDINGS).is_dir():
        raise ConfigError(f"{out} exists and holds no recordings", todo="Choose another folder.")


class _Many:
    """One such ingest."""

    def __init__(
        self,
        recordings: Sequence[Recording],
        out: Path,
        *,
        config: IngestConfig,
        before_s: float | None,
        tell: Tell,
        note: Note,
    ) -> None:
        self.recordings = {recording.name: recording for recording in recordings}
        self.out, self.config, self.tell, self.note = out, config, tell, note
        self.sizes = {name: _bytes(one.path) for name, one in self.recordings.items()}
        self.shares = dict.fromkeys(self.recordings, 0.0)
        self.followed, self.before_s, self.follow = Followed(recordings), before_s, True
        known = read_json(out / LIST, what="list of recordings") if (out / LIST).is_file() else {}
        self.entries: dict[str, dict[str, Any]] = known.get("recordings", {})

    def work(self, jobs: int, elsewhere: Elsewhere | None) -> Iterator[Outcome]:
        """The outcomes of the recordings that are not done, as they come."""
        todo = [one for one in self.recordings.values() if not self._is_done(one)]
        if done := len(self.recordings) - len(todo):
            self.note(f"{done} of {len(self.recordings)} recordings are done already")
        old = [one for one in todo if self.before_s is not None and self.followed.ended(one, self.before_s)]
        if old:
            self.note(f"{len(old)} recordings are too old to be kept and are not ingested")
        tasks = [self._task(one) for one in todo if one not in old]
        for name in self.recordings.keys() - {task.name for task in tasks}:
            self.shares[name] = 1.0
        self._show()
        chains = in_chains(tasks)
        if elsewhere is not None:
            yield from elsewhere(chains)
        elif jobs > 1 and len(chains) > 1:
            yield from self._side_by_side(chains, min(jobs, len(chains)))
        else:
            for chain in chains:
                yield from run_chain(chain)

    def _side_by_side(self, chains: Sequence[Sequence[Task]], jobs: int) -> Iterator[Outcome]:
        queue = new_queue()
        with pool(jobs, queue) as workers:
            rest: dict[Future[Outcome], Iterator[Task]] = {}

            def go_on(chain: Iterator[Task], outcome: Outcome | None) -> None:
                if (task := next(chain, None)) is not None:
                    rest[workers.submit(run_task, after(outcome, task))] = chain

            for chain in chains:
                go_on(iter(chain), None)
            try:
                while rest:
                    done, _ = wait(rest, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                    while not queue.empty():
                        name, frames, total = queue.get()
                        self.shares[name] = min(1.0, frames / total) if total else 0.0
                    self._show()
                    for future in done:
                        outcome = future.result()
                        go_on(rest.pop(future), outcome)
                        yield outcome
            except BrokenProcessPool as error:
                raise XReidError(
                    "a process that ingests was killed",
                    todo="Run the same command again, it goes on; or use fewer --jobs.",
                ) from error

    def add(self, outcome: Outcome) -> None:
        """Take note of an outcome."""
        one = self.recordings[outcome.name]
        self.shares[outcome.name] = 1.0
        self.entries[outcome.name] = self._entry(one, outcome)
        if outcome.error:
            self.note(f"{one.label}: {outcome.error}")
        self.save()
        self._show()

    def save(self) -> None:
        """Write the list of recordings."""
        entries = dict(sorted(self.entries.items()))
        write_json(self.out / LIST, {"format": 1, "version": xreid.__version__, "recordings": entries})

    def failed(self) -> dict[str, str]:
        """What is wrong with those of the recordings that could not be ingested."""
        return {
            name: e["error"] for name, e in self.entries.items() if name in self.recordings and e["error"]
        }

    def _entry(self, one: Recording, outcome: Outcome) -> dict[str, Any]:
        return {
            "file": one.label,
            "camera": one.camera,
            "place": one.place,
            "start_s": one.start_s,
            "start_from": one.start_from,
            "stamp": self._stamp(one),
            "report": None if outcome.report is None else asdict(outcome.report),
            "error": outcome.error,
        }

    def _task(self, one: Recording) -> Task:
        folder, around = self.out / RECORDINGS / one.name, Neighbours()
        if self.follow and self.config.tracks is None and not self.config.stills:
            around = self.followed.around(one)
        before = as_begun(folder, around.before)
        return Task(
            name=one.name,
            path=one.path,
            out=folder,
            config=one.config(self.config),
            before=None if before is None else before.path,
            bridge=None if before is None else self.out / RECORDINGS / before.name,
            goes_on=around.goes_on,
        )

    def _is_done(self, one: Recording) -> bool:
        """Whether it was ingested with these options, and its size and date are what they were."""
        entry = self.entries.get(one.name)
        folder = self.out / RECORDINGS / one.name
        if entry is None or entry["error"] or entry["stamp"] != self._stamp(one):
            return False
        if entry.get("forgotten"):
            return True
        return (folder / "ingest.json").is_file() and asdict(report_of(folder)) == entry["report"]

    def _stamp(self, one: Recording) -> str:
        """What tells a recording and its options from others without reading it."""
        try:
            stat = one.path.stat()
        except OSError:
            return ""
        options = {key: str(value) for key, value in asdict(one.config(self.config)).items()}
        return sha256_of_value([one.label, stat.st_size, stat.st_mtime_ns, options])

    def _show(self) -> None:
        self.tell(sum(self.sizes[name] * self.shares[name] for name in self.sizes), sum(self.sizes.values()))


def run_chain(chain: Sequence[Task]) -> Iterator[Outcome]:
    """Ingest recordings of which one goes on where the other ends, in this process."""
    outcome: Outcome | None = None
    for task in chain:
        outcome = run_task(after(outcome, task))
        yield outcome


def _bytes(path: Path) -> int:
    try:
        files = [p for p in path.iterdir() if p.is_file()] if path.is_dir() else [path]
        return max(1, sum(file.stat().st_size for file in files))
    except OSError:
        return 1


def raise_for_failures(report: ManyReport, out: Path) -> None:
    """Tell of recordings that could not be ingested.

    Raises:
        DataError: There were some.
    """
    if report.failed:
        first, fault = next(iter(report.failed.items()))
        raise DataError(
            f"{len(report.failed)} of {report.recordings} recordings cannot be ingested, {out} has the rest",
            got=f"{first}: {fault}",
            todo=f"See {out / LIST}; the same command tries them again.",
        )
