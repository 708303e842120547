"""The one place where the server meets gallery, model and search."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xreid.core.embeddings import EmbeddingSet, require_same_origin
from xreid.core.errors import ConfigError, ProtocolError, XReidError
from xreid.core.tracklets import Tracklet, TrackletTable
from xreid.retrieval.alerts import Alert, AlertLog
from xreid.retrieval.alerts import Word as AlertWord
from xreid.retrieval.answers import answers_folder
from xreid.retrieval.camera_graph_file import read_camera_graph
from xreid.retrieval.engine import Vectors
from xreid.retrieval.forgetting import forget_erased
from xreid.retrieval.gallery import Entry, Gallery, Receipt
from xreid.retrieval.gallery_receipts import UnfinishedError
from xreid.retrieval.gallery_seen import Seen
from xreid.retrieval.meaning import Meaning
from xreid.retrieval.queries import Query, queries_of, together
from xreid.retrieval.strangers import check_gallery, has_better, keep_check, meaning_of
from xreid.retrieval.watch import Watched, WatchList, watched
from xreid.retrieval.watching import WatchReport, alerts_now, check_watch, require_able
from xreid.serving.ids import Busy
from xreid.serving.problems import Refusal

if TYPE_CHECKING:
    from xreid.inference.checkpoint import LoadedModel
    from xreid.inference.embed import EmbedConfig

_LABELS_S = 60  # labels given elsewhere, by the command line for one, are counted after that long


class Backend:
    """Gallery and model of a server.

    Args:
        address: Of the gallery.
        checkpoint: The model that embedded it; None: nothing new can be embedded.
        answers: Folder for watch list and alerts; None: the gallery's own.
        graph: File of the cameras and the ways between them.

    Raises:
        ConfigError: Another model embedded the gallery.
    """

    def __init__(
        self,
        address: str,
        *,
        checkpoint: Path | None,
        answers: Path | None = None,
        graph: Path | None = None,
    ) -> None:
        self.gallery, self.checkpoint = Gallery.open(address), checkpoint
        self.graph = None if graph is None else read_camera_graph(graph)
        self.answers = answers_folder(self.gallery, answers)
        self._model: LoadedModel | None = None
        self._embedding = Busy("the model", waiting=8)
        self._loading = threading.Lock()
        self._cameras: tuple[object, list[Seen]] | None = None
        self._labels: tuple[object, Counter[str]] | None = None
        self._relabelled = 0
        if checkpoint is not None:
            from xreid.inference.checkpoint import describe_checkpoint

            # A wrong path, or another model, is told at the start, and not to the first visitor.
            _, _, sha256 = describe_checkpoint(checkpoint)
            if self.gallery.origin is not None and self.gallery.origin.checkpoint != sha256:
                raise ConfigError(
                    f"{checkpoint} did not embed this gallery",
                    expected=f"the weights {self.gallery.origin.checkpoint}",
                    got=sha256,
                    todo="Name the run that did, or leave --checkpoint out: then nothing new is embedded.",
                )

    def entry(self, entry_id: str) -> Entry:
        """A tracklet of the gallery; Refusal (404) where it is not there."""
        return self.entries([entry_id])[0]

    def entries(self, ids: Sequence[str]) -> list[Entry]:
        """Tracklets of the gallery; Refusal (404) where one is not there."""
        try:
            return self.gallery.entries(ids)
        except ProtocolError as error:
            raise Refusal(404, error.what, todo="It may have been erased.") from error

    def known(self, ids: Sequence[str]) -> list[Entry]:
        """Those of the tracklets that are (still) in the gallery."""
        found = []
        for entry_id in ids:
            try:
                found.append(self.entry(entry_id))
            except Refusal:
                continue
        return found

    def cameras(self) -> list[Seen]:
        """What each camera has seen, by name, the unknown one last; counted once per state of the gallery."""
        version = self.gallery.sets
        if self._cameras is None or self._cameras[0] != version:
            self._cameras = version, self.gallery.seen()
        return self._cameras[1]

    def labels(self) -> Counter[str]:
        """How many tracklets carry each label; counted anew after a change here, and now and then."""
        version = (self.gallery.sets, self._relabelled, time.monotonic() // _LABELS_S)
        if self._labels is None or self._labels[0] != version:
            self._labels = version, self.gallery.labels()
        return self._labels[1]

    def label(self, ids: Sequence[str], *, add: Collection[str], remove: Collection[str]) -> list[Entry]:
        """Give tracklets labels and take labels from them; returns them as they are then."""
        changed = self.gallery.label(ids, add=add, remove=remove)
        self._relabelled += 1
        return changed

    def meaning(self) -> Meaning | None:
        """What a score means here, where somebody has calibrated the model."""
        return meaning_of(self.gallery, self.answers)

    def check_strangers(self) -> bool:
        """Hold the calibration against the gallery's own strangers; what they say is kept and used.

        A check that somebody made with a camera graph stays where this server has none.

        Returns:
            Whether there was anything to hold.

        Raises:
            DataError: The calibration is damaged.
        """
        calibration = self.gallery.calibration
        if calibration is None or self.gallery.origin is None:
            return False
        if not has_better(self.answers, calibration, self.graph):
            keep_check(self.answers, check_gallery(self.gallery, calibration, graph=self.graph))
        return True

    def queries_of(self, ids: Sequence[str]) -> list[Query]:
        """Queries that are tracklets of the gallery."""
        return queries_of(self.gallery, self.entries(ids))

    def embed(self, rows: Sequence[Tracklet], root: Path) -> Vectors:
        """Vectors of pictures that are not in the gallery, made as the gallery's were; float32 [N, D].

        Raises:
            Refusal: 409: the server has no model.
            ProtocolError: The model did not embed the gallery.
        """
        from xreid.inference.embed import Embedder

        model = self._loaded()
        config = replace(self.embed_config(), on_unreadable="replace")
        embedder = Embedder(model, TrackletTable(root=root, rows=tuple(rows)), config=config)
        if self.gallery.origin is not None:
            require_same_origin(self.gallery.origin, embedder.origin)
        with self._embedding:
            return embedder.embed(range(len(rows)))

    def embed_config(self) -> EmbedConfig:
        """How the gallery's vectors were made; the checkpoint's own way while it is empty."""
        from xreid.inference.embed import EmbedConfig

        origin = self.gallery.origin
        return EmbedConfig() if origin is None else EmbedConfig.of(origin)

    def append(self, embeddings: Path, *, name: str, labels: Collection[str]) -> dict[str, Any]:
        """Append an embedding set; says how many tracklets came, and what was left out."""
        notes: list[str] = []
        stored = self.gallery.append(
            EmbeddingSet.load(embeddings), name=name, labels=labels, note=notes.append
        )
        if stored is None:
            return {"appended": 0, "set": "", "left_out": notes}
        if stored.erased:
            notes.append(f"{stored.erased} of {name} left out: erased here before")
        return {"appended": stored.rows, "set": stored.key, "left_out": notes}

    def erase(
        self, *, names: Sequence[str], identities: Sequence[str], who: str, reason: str, dry_run: bool
    ) -> Receipt:
        """Erase people from the gallery, and from watch list, alerts and cases.

        Raises:
            XReidError: They were erased, and something that cannot be read may still tell of them.
        """
        fault: UnfinishedError | None = None
        try:
            receipt = self.gallery.erase(
                names=names, identities=identities, asked_by=who, reason=reason, dry_run=dry_run
            )
        except UnfinishedError as error:
            fault, receipt = error, error.receipt
        if dry_run:
            return receipt
        whole = not receipt.unread  # else what is not found may lie in a set that cannot be read
        left = forget_erased(self.gallery, self.answers).left if whole else ()
        if fault is not None:
            raise fault
        if left:
            raise XReidError(
                f"erased from the gallery (receipt {receipt.id}), and perhaps not from all answers",
                got="; ".join(left)[:1000],
                todo="Mend that, and check the watch list: what is left is erased then.",
            )
        return receipt

    @property
    def watch(self) -> WatchList:
        """Who is watched for."""
        return WatchList(self.answers)

    def watch_for(
        self,
        examples: Sequence[Query],
        *,
        name: str,
        reason: str,
        by: str,
        expires: datetime | None,
        far: float,
        min_score: float | None,
        past: bool,
    ) -> Watched:
        """Put a person on the watch list; `past`: what is in the gallery already raises alerts, too.

        Raises:
            ProtocolError: The gallery is empty, or the calibration does not cover these pairs.
            ConfigError: The name is taken, the watch is over before it begins, or nothing is calibrated to
                that rate of false alarms.
        """
        origin = self.gallery.origin
        if origin is None:
            raise ProtocolError("the gallery is empty, so nothing says which model to compare with")
        person = watched(
            together(examples),
            name=name,
            origin=origin,
            reason=reason,
            by=by,
            expires=expires,
            far=far if min_score is None else None,
            min_score=min_score,
            before=() if past else [stored.key for stored in self.gallery.sets],
        )
        require_able(person, self.meaning())
        self.watch.add(person)
        return person

    def check_watch(self) -> WatchReport:
        """Look for everybody on the watch list; no alert is raised twice."""
        return check_watch(self.gallery, self.answers)

    def alerts(self) -> list[Alert]:
        """The alerts, oldest first, with the probabilities that stand today."""
        return alerts_now(self.gallery, self.answers)

    def acknowledge(self, name: str, *, word: AlertWord, by: str, note: str) -> None:
        """Say something about an alert."""
        AlertLog(self.answers).acknowledge([name], word=word, by=by, note=note)

    def require_model(self) -> Path:
        """Where the model lies.

        Raises:
            Refusal: 409: the server has none.
        """
        if self.checkpoint is None:
            raise Refusal(
                409, "this server has no model", todo="Start it with `xreid serve GALLERY --checkpoint RUN`."
            )
        return self.checkpoint

    def _loaded(self) -> LoadedModel:
        checkpoint = self.require_model()
        with self._loading:
            if self._model is None:
                from xreid.inference.checkpoint import load_checkpoint

                self._model = load_checkpoint(checkpoint)
            return self._model
