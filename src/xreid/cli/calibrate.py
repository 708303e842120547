"""`xreid calibrate EMBEDDINGS --checkpoint RUN`: what scores mean, stored beside the weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xreid.cli.options import parse
from xreid.core.embeddings import EmbeddingSet, require_same_origin
from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.files import write_json
from xreid.evaluation.calibration import FILE, Calibration
from xreid.evaluation.calibration_fit import fit_calibration
from xreid.evaluation.evaluator import combine
from xreid.evaluation.protocols import protocol_named

if TYPE_CHECKING:
    from xreid.inference.checkpoint import Checkpoint

_TEST = ("query", "gallery")


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions:
    """Learn what a cosine says about "same person", on people who are in neither training nor test.

    The result, calibration.json, lies in the checkpoint's folder. `xreid embed` gives it to the embeddings it
    makes, also to those made before when it is run again; `xreid evaluate` and `xreid search` use it there.

    Attributes:
        embeddings: Folder written by `xreid embed RUN DATA OUT --held_out`.
        checkpoint: Folder of the checkpoint, or of the finished run, that made them.
        also: More such folders of the same model.
        protocol: Decides which pairs count; auto, hitsz-vcm, generic and so on, as for `xreid evaluate`.
        method: logistic: a line, steady with few people; isotonic: any rising curve, for many.
        far: False-accept rate per pair at which the stored thresholds cut.
        fit_prior: Share of same-person pairs that the logistic fit weighs for: low, as in a search, so that
            high scores decide; it is no prior of a later answer.
        other_people: These are neither training nor test people although names or lists say so, for instance
            people of another archive.
        json: Print calibration.json instead of a table.
    """

    embeddings: Path
    checkpoint: Path
    also: list[Path] = field(default_factory=list)
    protocol: str = "auto"
    method: Literal["logistic", "isotonic"] = "logistic"
    far: float = 1e-3
    fit_prior: float = 0.01
    other_people: bool = False
    json: bool = False


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(CalibrateOptions, argv, verb="calibrate", positional=("embeddings",))
    embeddings = combine([EmbeddingSet.load(folder) for folder in (options.embeddings, *options.also)])
    from xreid.inference.checkpoint import describe_checkpoint, require_weights

    folder, checkpoint, sha256 = describe_checkpoint(options.checkpoint)
    require_weights(folder, sha256)
    _require_made_by(embeddings, checkpoint, sha256)
    if not options.other_people:
        _require_no_test_rows(embeddings)
    calibration, missing = fit_calibration(
        embeddings,
        protocol_named(options.protocol, table=embeddings.table),
        trained_on=() if options.other_people else checkpoint.identities,
        method=options.method,
        fit_prior=options.fit_prior,
        far=options.far,
    )
    write_json(folder / FILE, calibration.to_json())
    print(json.dumps(calibration.to_json(), indent=2) if options.json else _table(calibration))
    for note in missing:
        print(f"calibrate: {note}", file=sys.stderr)
    print(f"wrote {folder / FILE}; run `xreid embed` again for embeddings to carry it", file=sys.stderr)
    return 0


def _require_made_by(embeddings: EmbeddingSet, checkpoint: Checkpoint, sha256: str) -> None:
    from dataclasses import replace

    try:
        require_same_origin(
            replace(embeddings.origin, checkpoint=sha256, config=checkpoint.hash), embeddings.origin
        )
    except ProtocolError as error:
        raise ProtocolError(
            "these embeddings were not made by this checkpoint",
            expected=error.expected,
            got=error.got,
            todo="Embed with it: `xreid embed RUN DATA OUT --held_out`.",
        ) from error


def _require_no_test_rows(embeddings: EmbeddingSet) -> None:
    tests = [row.name for row in embeddings.table if row.subset in _TEST]
    if tests:
        raise ConfigError(
            f"{len(tests)} of the tracklets are of the test lists, which must not teach a calibration",
            got=f"e.g. {tests[0]}",
            todo="Use people held out of training (`xreid embed --held_out`), or say --other_people if this "
            "archive's test people are not those you will test on.",
        )


def _table(calibration: Calibration) -> str:
    lines = [
        f"{calibration.protocol}   source {calibration.source}   "
        f"checkpoint {calibration.origin.checkpoint[:12]}   {calibration.method}",
        "",
        f"{'pairs':<9}{'people':>7}{'one person':>12}{'two people':>12}   "
        f"log-likelihood ratio       threshold at FAR {100 * _far(calibration):g}%",
    ]
    for name, kind in calibration.kinds.items():
        line = f"{kind.slope:.3f} * cosine {'+' if kind.offset >= 0 else '-'} {abs(kind.offset):.3f}"
        cut = kind.threshold
        told = "none: too few pairs of two people"
        if cut.score is not None and cut.tar is not None:
            told = f"{cut.score:.3f}, accepts {100 * cut.tar:.1f}% of pairs of one person"
            told += " (few false accepts: rough)" if cut.resolution == "few" else ""
        lines.append(
            f"{name:<9}{kind.identities:>7,}{kind.positives:>12,}{kind.negatives:>12,}   {line:<27}{told}"
        )
    return "\n".join(lines)


def _far(calibration: Calibration) -> float:
    return next(iter(calibration.kinds.values())).threshold.far
