"""`xreid demo`: simulate, train, evaluate both directions, gallery, search, and a page that links it all."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xreid.cli.demo_page import DemoFacts, write_demo_page
from xreid.cli.options import parse
from xreid.core.errors import ConfigError
from xreid.core.files import read_json, write_json
from xreid.evaluation.metrics import METRICS

if TYPE_CHECKING:
    from xreid.core.embeddings import EmbeddingSet
    from xreid.core.tracklets import TrackletTable
    from xreid.evaluation.results import EvaluationResult


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """The whole system on simulated people, in minutes on two cores; started again, it goes on where it was.

    Attributes:
        out: Folder for everything the demo makes; index.html in it is the page to open.
        preset: Training preset: paper, official or baseline.
        seed: Seed of training; the simulated archive is that of seed 0.
        size: Simulated archive: default (minutes), or tiny (seconds; the scores mean nothing).
        epochs: Epochs of training; 0 for the tiny scale's own number.
    """

    out: Path = Path("demo")
    preset: Literal["paper", "official", "baseline"] = "paper"
    seed: int = 0
    size: Literal["default", "tiny"] = "default"
    epochs: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ConfigError("epochs must not be negative", got=str(self.epochs))


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(DemoOptions, argv, verb="demo", positional=("out",))
    page = run_demo(options)
    print(
        f"\nOpen {page}\nSimulated people, one seed, a tiny network: this shows that the parts work together."
    )
    print("It does not show how well X-ReID does on HITSZ-VCM, on BUPTCampus or on your cameras.")
    return 0


def run_demo(options: DemoOptions) -> Path:
    """Do every step that is not done yet; return the page.

    Raises:
        ConfigError: The folder holds a demo with other options.
    """
    journal = _Journal(options)
    out = options.out
    with journal.step("simulate"):
        journal.result = _simulate(options)
    with journal.step("train"):
        journal.result = _train(options)
    with journal.step("embed"):
        embeddings, journal.result = _embed(options)
    with journal.step("evaluate"):
        results, journal.result = _evaluate(out, embeddings)
    with journal.step("match without learning"):
        matchers, journal.result = _match_without_learning(embeddings.table)
    with journal.step("gallery and search"):
        journal.result = _search(out, embeddings, results[0])
    query = _typical_query(results[0])
    made = f"preset {options.preset} at scale tiny, seed {options.seed}"
    facts = DemoFacts(made=made, steps=journal.steps, matchers=matchers, query=query)
    return write_demo_page(out / "index.html", results, embeddings, facts=facts)


class _Journal:
    """Tells what happens, and remembers how long each step took, across restarts."""

    def __init__(self, options: DemoOptions) -> None:
        self.path = options.out / "demo.json"
        asked = {
            "preset": options.preset,
            "seed": options.seed,
            "size": options.size,
            "epochs": options.epochs,
        }
        held = read_json(self.path, what="demo") if self.path.exists() else {"options": asked, "seconds": {}}
        if not isinstance(held, dict) or not held.keys() >= {"options", "seconds"}:
            raise ConfigError(f"{self.path} is damaged", todo="Delete it, or choose another folder.")
        if held["options"] != asked:
            raise ConfigError(
                f"{options.out} holds a demo with other options",
                expected=str(held["options"]),
                got=str(asked),
                todo="Choose another folder, or delete that one.",
            )
        self.held, self.steps, self.result = held, list[dict[str, Any]](), ""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step; a step that was found done keeps the time it took then."""
        print(f"== {name}", file=sys.stderr, flush=True)
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        taken = self.held["seconds"].setdefault(name, round(seconds, 1))
        write_json(self.path, self.held)
        self.steps.append({"name": name, "result": self.result, "seconds": taken})
        print(f"   {self.result} ({seconds:.0f} s)", file=sys.stderr, flush=True)


def _verb(name: str, *words: object) -> None:
    """Run another verb as the command line would, with its progress."""
    from importlib import import_module

    shown = " ".join(map(str, words))
    print(f"   xreid {name} {shown}", file=sys.stderr, flush=True)
    import_module(f"xreid.cli.{name}").main([str(word) for word in words])


def _simulate(options: DemoOptions) -> str:
    archive = options.out / "archive"
    _verb("simulate", archive, "--preset", options.size)
    sheet = options.out / "contact-sheet.jpg"
    if not sheet.exists():
        _verb("simulate", "--preset", options.size, "--contact-sheet", sheet)
    counts = read_json(archive / "simulation.json")["counts"]
    return f"{counts['identities']} people, {counts['walks']} walks, {counts['frames']:,} frames"


def _train(options: DemoOptions) -> str:
    words = ["--preset", options.preset, "--scale", "tiny", "--train.seed", options.seed]
    words += ["--train.epochs", options.epochs] if options.epochs else []
    words += ["--batch.identities", 3] if options.size == "tiny" else []
    _verb("train", "--data", options.out / "archive", "--out", options.out / "run", *words)
    config = read_json(options.out / "run" / "checkpoint" / "config.json")
    return f"preset {options.preset}, {config['network']['num_identities']} people"


def _embed(options: DemoOptions) -> tuple[EmbeddingSet, str]:
    from xreid.core.embeddings import EmbeddingSet

    folder = options.out / "embeddings"
    _verb("embed", options.out / "run", options.out / "archive", folder)
    embeddings = EmbeddingSet.load(folder)
    return embeddings, f"{len(embeddings)} tracklets x {embeddings.vectors.shape[1]} values"


def _evaluate(out: Path, embeddings: EmbeddingSet) -> tuple[tuple[EvaluationResult, ...], str]:
    from xreid.evaluation.evaluator import evaluate_directions
    from xreid.evaluation.protocols import protocol_named
    from xreid.evaluation.report import write_report
    from xreid.evaluation.text import format_table

    results = evaluate_directions(embeddings, protocol_named("auto", table=embeddings.table))
    write_report(results, embeddings, out / "evaluation")
    print(format_table(results))
    return results, ", ".join(f"{r.direction} Rank-1 {100 * r.rank1:.1f}%" for r in results)


def _match_without_learning(table: TrackletTable) -> tuple[dict[str, float], str]:
    from xreid.simulation.fairness import baseline_rank1

    scores = baseline_rank1(table)
    best = max(scores, key=lambda name: scores[name])
    return scores, f"best: {best}, Rank-1 {100 * scores[best]:.1f}%"


def _search(out: Path, embeddings: EmbeddingSet, result: EvaluationResult) -> str:
    """Put the test tracklets into a gallery, and ask who a typical infrared query is."""
    query = _typical_query(result)
    _verb("gallery", "add", out / "gallery", out / "embeddings")
    words = ["--query", out / "embeddings", "--tracklet", query, "--modality", "vis", "--top", 12]
    _verb("search", out / "gallery", *words, "--out", out / "search")
    return f"{len(embeddings)} tracklets in the gallery; infrared query {query}"


def _typical_query(result: EvaluationResult) -> str:
    """The query of median average precision: neither a showpiece nor a failure picked by hand."""
    column = METRICS.index("mAP")
    valid = [i for i, count in enumerate(result.ranks.counts) if count]
    ordered = sorted(valid, key=lambda i: (result.per_query[i, column], result.query_names[i]))
    return result.query_names[ordered[len(ordered) // 2]]
