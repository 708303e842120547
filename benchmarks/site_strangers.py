"""What pairs that cannot be of one person say of a calibration on simulated sites, against the truth.

    xreid simulate SITE11 --site --seed 11 --workers 2
    python -m benchmarks.site_people PEOPLE SITE11 SITE12       # true tracks, true people
    xreid embed RUN PEOPLE EMBEDDINGS
    python -m benchmarks.site_strangers EMBEDDINGS SITE11 SITE12 --calibration CALIBRATION.json

For each site, kind of pair and stated rate: the share of the strangers that nobody labelled (`xreid gallery
strangers`) and of all true pairs of strangers across cameras that pass the stored threshold; then what passes
the threshold of the place, and what share of the true pairs of one person either accepts.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xreid.core.embeddings import EmbeddingSet
from xreid.core.files import read_json
from xreid.evaluation.calibration import Calibration, read_calibration
from xreid.evaluation.pairs import KINDS, kind_of
from xreid.evaluation.site_check import Passed
from xreid.retrieval.camera_graph import CameraGraph
from xreid.retrieval.camera_graph_file import camera_graph_from
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.strangers import check_gallery
from xreid.simulation.site import read_site

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One stated rate at one site; rates as shares.

    Attributes:
        site: Its seed.
        kind: Of the pairs.
        word: What the check says of the kind.
        passed: What it counts at the stored threshold.
        cut: The threshold of the place.
        truth: Share of the true strangers above the stored threshold and above that of the place.
        found: Share of the true pairs of one person, likewise.
    """

    site: str
    kind: str
    word: str
    passed: Passed
    cut: float
    truth: tuple[float, float]
    found: tuple[float, float]


def graph_of(site: Path, seed: str) -> CameraGraph:
    """The site's graph, with the names that `site_people` gives its cameras."""
    plain = read_json(site / "graph.json", what="camera graph")
    named = {f"{seed}-{name}": place for name, place in plain["cameras"].items()}
    edges = [{**e, "from": f"{seed}-{e['from']}", "to": f"{seed}-{e['to']}"} for e in plain["edges"]]
    overlaps = [[f"{seed}-{name}" for name in pair] for pair in plain.get("overlaps", [])]
    return camera_graph_from({**plain, "cameras": named, "edges": edges, "overlaps": overlaps})


def true_scores(embeddings: EmbeddingSet, kind: str) -> tuple[Scores, Scores]:
    """Cosines of all pairs of strangers and of one person, across cameras."""
    rows = embeddings.table.rows
    who, camera = (np.array([getattr(row, name) for row in rows]) for name in ("identity", "camera"))
    first, second = np.triu_indices(len(rows), 1)
    kinds = np.array(
        [kind_of(rows[a].modality, rows[b].modality) for a, b in zip(first, second, strict=True)]
    )
    counted = (kinds == kind) & (camera[first] != camera[second])
    scores, same = (embeddings.vectors @ embeddings.vectors.T)[first, second], who[first] == who[second]
    return scores[counted & ~same], scores[counted & same]


def lines_of(embeddings: EmbeddingSet, calibration: Calibration, graph: CameraGraph) -> Iterator[Line]:
    """Every kind and rate of one site."""
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery.create(Path(folder) / "gallery")
        gallery.append(replace(embeddings, calibration=None), name="site")
        check = check_gallery(gallery, calibration, graph=graph)
    for kind in KINDS:
        if kind not in check.kinds:
            continue
        strangers, one = true_scores(embeddings, kind)
        for passed in check.kinds[kind].passed:
            cut = dict(check.kinds[kind].cuts)[passed.far]
            cuts = (passed.cosine, cut)
            truth, found = ([float((scores > at).mean()) for at in cuts] for scores in (strangers, one))
            yield Line(
                site="",
                kind=kind,
                word=check.kinds[kind].word,
                passed=passed,
                cut=cut,
                truth=(truth[0], truth[1]),
                found=(found[0], found[1]),
            )


def table(lines: list[Line]) -> str:
    """Markdown; percent."""
    told = [
        "| site | pairs | stated | strangers above it [95%] | truth | verdict | place's threshold: truth | "
        "of one person accepted, stored; place's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in lines:
        seen = one.passed
        told.append(
            f"| {one.site} | {one.kind} | {100 * seen.far:g} | {100 * seen.share:.2f} [{100 * seen.low:.2f}, "
            f"{100 * seen.high:.2f}] | {100 * one.truth[0]:.2f} | {one.word} | {100 * one.truth[1]:.2f} | "
            f"{100 * one.found[0]:.1f}; {100 * one.found[1]:.1f} |"
        )
    return "\n".join(told)


def summary(lines: list[Line]) -> str:
    """How often the interval holds the truth, and how far from the stated rate the thresholds are."""
    inside = sum(one.passed.low <= one.truth[0] <= one.passed.high for one in lines)
    told = [f"the truth lies inside {inside} of {len(lines)} intervals"]
    for far in sorted({one.passed.far for one in lines}):
        some = [one for one in lines if one.passed.far == far]
        for place, word in enumerate(("stored", "place's")):
            times = [one.truth[place] / far for one in some]
            told.append(
                f"stated {100 * far:g}%, {word} thresholds: {min(times):.2f} to {max(times):.2f} times the "
                f"rate, median {np.median(times):.2f}"
            )
    return "\n".join(told)


def main() -> None:
    """Print the false-accept rates, stated and true, in percent, a line for each site, kind and rate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("embeddings", type=Path, help="of what benchmarks.site_people wrote")
    parser.add_argument("sites", type=Path, nargs="+")
    parser.add_argument("--calibration", type=Path, required=True)
    options = parser.parse_args()
    embeddings, calibration = EmbeddingSet.load(options.embeddings), read_calibration(options.calibration)
    lines: list[Line] = []
    for site in options.sites:
        seed = str(read_site(site)["config"]["seed"])
        rows = embeddings.table.rows
        own = embeddings.take([i for i, row in enumerate(rows) if (row.camera or "").startswith(f"{seed}-")])
        lines += (replace(one, site=seed) for one in lines_of(own, calibration, graph_of(site, seed)))
    print(table(lines), summary(lines), sep="\n\n")


if __name__ == "__main__":
    main()
