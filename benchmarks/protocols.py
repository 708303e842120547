"""What each difference between published evaluators does to a score, on simulated archives.

    xreid simulate A --train_identities 1 --test_identities 160 --cameras_per_identity 3 \
        --shortest_walk 8 --longest_walk 48
    xreid embed CHECKPOINT A SETS/h-SAMPLING-FRAMES --min_frames 1 --sampling SAMPLING --frames FRAMES
        for chunk-first 6 and 10, linspace 6 and 10, dense 2 and 10; of linspace 10 also SETS/h-first and
        SETS/h-second with --part first-half and --part second-half
    python benchmarks/protocols.py SETS [--checkpoint CHECKPOINT] [--seeds SET SET ...]

Rank-1 and mAP in percent, both directions; the change of I2V Rank-1 and its 95% interval over identities
where the queries are the same. For BUPTCampus the same tracklets are put into lists like its own. With a
checkpoint also vectors that are not brought to unit length; with sets of several training seeds also what the
best of them has over their mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from xreid.core.embeddings import EmbeddingSet
from xreid.core.tracklets import Modality, Tracklet
from xreid.evaluation.comparison import compare
from xreid.evaluation.directions import I2V, V2I, V2V, Direction
from xreid.evaluation.evaluator import evaluate, sides
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.metrics import Side, rank_positives
from xreid.evaluation.neighbours import neighbours
from xreid.evaluation.protocols import (
    BUPT_CAMPUS_FULL,
    BUPT_CAMPUS_PAPER64,
    GENERIC,
    GENERIC_LISTS,
    HITSZ_VCM,
    Protocol,
)
from xreid.evaluation.reranking import KReciprocal, Reranking
from xreid.evaluation.results import EvaluationResult
from xreid.evaluation.selection import select
from xreid.evaluation.temporal_reranking import PUBLISHED, TemporalReranking

Pair = tuple[EvaluationResult, EvaluationResult]
NO_INTERVALS = Bootstrap(resamples=0)


def both(embeddings: EmbeddingSet, protocol: Protocol, *, reranking: Reranking | None = None) -> Pair:
    """Scores as fractions in both directions, I2V and V2I, without intervals."""
    forth, back = (
        evaluate(embeddings, protocol, direction=d, bootstrap=NO_INTERVALS, reranking=reranking)
        for d in (I2V, V2I)
    )
    return forth, back


def line(name: str, pair: Pair, base: Pair | None = None) -> None:
    """Print a row: Rank-1 and mAP in percent, the paired change of I2V Rank-1 from the base, sizes."""
    cells = [f"{100 * v:.1f}" for r in pair for v in (r.rank1, r.mean_average_precision)]
    change = ""
    if base is not None and base[0].query_names == pair[0].query_names and same_valid(base[0], pair[0]):
        found = compare(replace(pair[0], protocol=base[0].protocol), base[0]).differences["Rank-1"]
        change = f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    sizes = " / ".join(f"{r.num_valid:,} x {r.num_gallery:,}" for r in pair)
    print(f"| {name} | {' | '.join(cells)} | {change} | {sizes} |", flush=True)


def same_valid(a: EvaluationResult, b: EvaluationResult) -> bool:
    """Whether the same queries are scored, so that the two can be paired."""
    return bool(np.array_equal(a.valid_rows(), b.valid_rows()))


def at_least(embeddings: EmbeddingSet, frames: int) -> EmbeddingSet:
    """Only tracklets of so many frames or more."""
    return embeddings.take([i for i, row in enumerate(embeddings.table) if len(row.frames) >= frames])


def cameras_apart(embeddings: EmbeddingSet) -> EmbeddingSet:
    """Infrared cameras under numbers of their own, as a loader makes them that counts per modality."""
    rows = tuple(
        replace(row, camera=f"infrared {row.camera}") if row.modality is Modality.INFRARED else row
        for row in embeddings.table
    )
    return replace(embeddings, table=replace(embeddings.table, rows=rows))


def lists_swapped(embeddings: EmbeddingSet) -> EmbeddingSet:
    """Query and gallery list exchanged: what a transposed matrix evaluates."""
    other = {"query": "gallery", "gallery": "query"}
    rows = tuple(replace(row, subset=other.get(row.subset, row.subset)) for row in embeddings.table)
    return replace(embeddings, table=replace(embeddings.table, rows=rows))


def lists_like_bupt(embeddings: EmbeddingSet) -> EmbeddingSet:
    """One query tracklet a person, infrared and visible in turn; the gallery is all of the other cameras."""
    table = embeddings.table
    asked: dict[str, int] = {}
    for number, identity in enumerate(sorted(set(table.identities()))):
        wanted = (Modality.INFRARED, Modality.VISIBLE)[number % 2]
        rows = [i for i, row in enumerate(table) if row.identity == identity and row.modality is wanted]
        asked[identity] = rows[0]
    rows = tuple(
        replace(row, subset="query" if i == (mine := asked[str(row.identity)]) else _other(row, table[mine]))
        for i, row in enumerate(table)
    )
    kept = replace(embeddings, table=replace(table, rows=rows))
    return kept.take([i for i, row in enumerate(rows) if row.subset])


def _other(row: Tracklet, query: Tracklet) -> str:
    return "" if row.camera == query.camera else "gallery"


def feature_variants(embeddings: EmbeddingSet) -> dict[str, EmbeddingSet]:
    """Each part of the feature alone, at unit length."""
    found, start = {}, 0
    for name, width in embeddings.origin.layout:
        part = embeddings.vectors[:, start : start + width]
        part = part / np.linalg.norm(part, axis=1, keepdims=True)
        origin = replace(embeddings.origin, layout=((name, width),))
        found[name] = replace(embeddings, vectors=part.astype(np.float32), origin=origin)
        start += width
    return found


def ranks_over_identities(embeddings: EmbeddingSet, direction: Direction) -> dict[int, float]:
    """Rank-k as the evaluators of SYSU-MM01 and LLCM count it: each gallery identity once."""
    query, gallery = sides(
        embeddings, select(embeddings.table, HITSZ_VCM, direction=direction), protocol=HITSZ_VCM
    )
    ranks = []
    for q in range(len(query)):
        order = np.argsort(-(gallery.vectors @ query.vectors[q]), kind="stable")
        mine = gallery.identities[order] == query.identities[q]
        kept = order[~(mine & (gallery.cameras[order] == query.cameras[q]))]  # type: ignore[index]
        _, first = np.unique(gallery.identities[kept], return_index=True)
        seen = gallery.identities[kept][np.sort(first)]
        place = np.flatnonzero(seen == query.identities[q])
        ranks += [place[0] + 1] if len(place) else []
    return {k: float(np.mean(np.array(ranks) <= k)) for k in (1, 5, 10, 20)}


def raw_lengths(checkpoint: Path, embeddings: EmbeddingSet) -> np.ndarray:
    """float32 [N, 1]: what each vector was divided by, from the network itself (one clip a tracklet)."""
    import torch

    from xreid.data.clips import ClipReader
    from xreid.data.loader import evaluation_clips
    from xreid.data.sampling import FrameSampling
    from xreid.inference.checkpoint import load_checkpoint

    model, made = load_checkpoint(checkpoint, torch.device("cpu")), embeddings.origin.preprocessing
    reader = ClipReader(embeddings.table, size=model.network.config.frame_size)
    raw = np.empty_like(embeddings.vectors)
    batches = evaluation_clips(
        reader,
        range(len(embeddings)),
        frames_per_clip=made["frames"],
        sampling=FrameSampling(made["sampling"]),
        clips_per_batch=64,
        cameras=model.network.config.cameras,
    )
    with torch.inference_mode():
        for batch in batches:
            raw[batch.rows.numpy()] = model.network.features(batch.clips, batch.cameras).numpy()
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    if not np.allclose(raw / lengths, embeddings.vectors, atol=1e-4):
        raise SystemExit("the network does not give the stored vectors")
    return lengths


def hitsz(sets: Path, checkpoint: Path | None) -> None:
    """What each difference between HITSZ-VCM's published evaluators does to the scores, a row each."""
    everything = EmbeddingSet.load(sets / "h-chunk-first-6")
    kept = at_least(everything, 12)
    base = both(kept, HITSZ_VCM)
    line("base: `hitsz-vcm/frames6`", base)
    line("camera filter off", both(kept, replace(HITSZ_VCM, same_camera="keep")), base)
    line("camera numbers per modality", both(cameras_apart(kept), HITSZ_VCM), base)
    line("no filter of short tracklets", both(everything, HITSZ_VCM))
    for name in ("chunk-first-10", "linspace-6", "linspace-10", "dense-2", "dense-10"):
        if (sets / f"h-{name}").exists():
            other = at_least(EmbeddingSet.load(sets / f"h-{name}"), 12)
            line(f"frames: {name}", both(other, HITSZ_VCM), base)
    for name, part in feature_variants(kept).items():
        line(f"only {name}", both(part, HITSZ_VCM), base)
    if checkpoint:
        raw = kept.vectors * raw_lengths(checkpoint, kept)
        line("products of raw vectors", (of_raw(raw, kept, base[0]), of_raw(raw, kept, base[1])), base)
    for way in (KReciprocal(), KReciprocal(lambda_=0), KReciprocal(k1=6, k2=3), PUBLISHED):
        line(way.label, both(kept, HITSZ_VCM, reranking=way), base)
    for direction, result in ((I2V, base[0]), (V2I, base[1])):
        tracklets = [f"{100 * result.metrics[f'Rank-{k}'].value:.1f}" for k in (1, 5, 10, 20)]
        people = [f"{100 * v:.1f}" for v in ranks_over_identities(kept, direction).values()]
        print(f"{direction} Rank-1/5/10/20 over tracklets {tracklets}, over identities {people}")
    within_visible(kept)
    own_modality(kept)


def within_visible(embeddings: EmbeddingSet) -> None:
    """Re-ranking where queries and gallery are one list."""
    for way in (None, KReciprocal(), KReciprocal(k1=6, k2=3)):
        result = evaluate(embeddings, HITSZ_VCM, direction=V2V, bootstrap=NO_INTERVALS, reranking=way)
        scores = f"Rank-1 {100 * result.rank1:.1f}, mAP {100 * result.mean_average_precision:.1f}"
        print(f"vis->vis {way.label if way else 'plain'}: {scores}")


def of_raw(raw: np.ndarray, embeddings: EmbeddingSet, result: EvaluationResult) -> EvaluationResult:
    """The result with inner products of these vectors, of any length."""
    query, gallery = sides(embeddings, result.selection, protocol=result.protocol)

    def side(like: Side) -> Side:
        return replace(like, vectors=raw[like.rows].astype(np.float32))

    ranks = rank_positives(side(query), side(gallery))
    values = ranks.per_query()
    metrics = {
        name: replace(e, value=float(np.nanmean(values[:, i])))
        for i, (name, e) in enumerate(result.metrics.items())
    }
    return replace(result, ranks=ranks, per_query=values, metrics=metrics)


def own_modality(embeddings: EmbeddingSet, count: int = 20) -> None:
    """How far the joint neighbourhood of re-ranking stays within a modality."""
    infrared = np.array([row.modality is Modality.INFRARED for row in embeddings.table])
    near = neighbours(embeddings.vectors, count=count + 1).nearest[:, 1:]
    for name, mask in (("infrared", infrared), ("visible", ~infrared)):
        share = float((infrared[near[mask]] == infrared[mask][:, None]).mean())
        print(f"{name}: {100 * share:.1f}% of the {count} nearest are of the own modality")


def bupt(sets: Path) -> None:
    """What each difference between BUPTCampus's published evaluators does to the scores, a row each."""
    whole = lists_like_bupt(EmbeddingSet.load(sets / "h-linspace-10"))
    base = both(whole, BUPT_CAMPUS_FULL)
    line("base: `bupt-campus/full-frames10`", base)
    line("`bupt-campus/paper64-frames10`", both(whole, BUPT_CAMPUS_PAPER64))
    line("same identity and camera removed", both(whole, GENERIC_LISTS), base)
    line("lists exchanged (a transposed matrix)", both(lists_swapped(whole), BUPT_CAMPUS_FULL))
    line("pooled (`generic`): every test tracklet asks", both(whole, GENERIC))
    ways: list[Reranking] = [KReciprocal(), PUBLISHED]
    if (sets / "h-first").exists() and (sets / "h-second").exists():
        first, second = (EmbeddingSet.load(sets / f"h-{half}") for half in ("first", "second"))
        ways.append(TemporalReranking.of(whole, first=first, second=second))
    for way in ways:
        line(way.label, both(whole, BUPT_CAMPUS_FULL, reranking=way), base)


def seeds(folders: Sequence[Path]) -> None:
    """What taking the best of several seeds by the test adds to Rank-1 (%), and what of it is luck."""
    results = [both(EmbeddingSet.load(folder), HITSZ_VCM)[0] for folder in folders]
    values = [100 * r.rank1 for r in results]
    mean, best = np.mean(values), max(values)
    print(f"seeds, I2V Rank-1: {values}; mean {mean:.1f}, the best on the test set {best:.1f}")
    halves = [[100 * r.per_query[i::2, 0].mean() for r in results] for i in (0, 1)]
    chosen = [halves[1 - i][int(np.argmax(halves[i]))] for i in (0, 1)]
    print(f"chosen on one half of the queries, scored on the other: {np.mean(chosen):.1f}")


def main() -> int:
    """Print the tables of docs/protocols.md from stored embeddings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--seeds", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    print("| | I2V R1 | mAP | V2I R1 | mAP | change of I2V R1 | valid queries x gallery |\n|" + "---|" * 7)
    if (options.sets / "h-chunk-first-6").exists():
        hitsz(options.sets, options.checkpoint)
    if (options.sets / "h-linspace-10").exists():
        bupt(options.sets)
    if options.seeds:
        seeds(options.seeds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
