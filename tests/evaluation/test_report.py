import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.problems import IR, VIS, embedding_set, people, row
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import XReidError
from xreid.core.tracklets import Tracklet
from xreid.evaluation.curves import cmc_chart
from xreid.evaluation.directions import I2V, V2I, V2V
from xreid.evaluation.evaluator import evaluate, evaluate_directions
from xreid.evaluation.examples import rank_lists
from xreid.evaluation.notes import is_simulated, warnings
from xreid.evaluation.pictures import Thumbnails
from xreid.evaluation.protocols import GENERIC, HITSZ_VCM
from xreid.evaluation.report import render_page, write_report
from xreid.evaluation.text import format_table


def with_pictures(root: Path, *, count: int = 6) -> EmbeddingSet:
    embeddings = people(count, noise=2.0, root=root)
    for tracklet in embeddings.table:
        colour = (120, 120, 120) if tracklet.modality is IR else (200, 60, 60)
        Image.new("RGB", (40, 80), colour).save(root / tracklet.frames[0])
    return embeddings


def test_the_report_is_a_page_and_a_json(tmp_path: Path) -> None:
    embeddings = with_pictures(tmp_path)
    results = evaluate_directions(embeddings, HITSZ_VCM)
    out = tmp_path / "new" / "out"
    (out).mkdir(parents=True)
    (out / "kept.txt").write_text("mine")
    page = write_report(results, embeddings, out)
    text = page.read_text(encoding="utf-8")
    data = json.loads((out / "evaluation.json").read_text())
    assert (out / "kept.txt").read_text() == "mine"
    assert data["results"][0]["direction"] == "I2V"
    assert len(data["results"][0]["per_query"]["name"]) == 18
    for needed in (HITSZ_VCM.label, "c" * 64, "test", "95% intervals", "✓", "✗", "data:image/jpeg;base64,"):
        assert needed in text
    assert "no frame" not in text
    assert not re.search(r"(src|href)=\"(?!data:)", text), (
        "the page must not refer to anything outside itself"
    )
    assert "http" not in text
    assert '<meta name="viewport"' in text
    assert "prefers-color-scheme: dark" in text


def test_missing_and_damaged_frames_become_placeholders(tmp_path: Path) -> None:
    embeddings = with_pictures(tmp_path)
    frames = [tmp_path / t.frames[0] for t in embeddings.table]
    frames[0].unlink()
    frames[1].write_bytes(frames[1].read_bytes()[:200])
    frames[2].write_text("no picture")
    thumbnails = Thumbnails(embeddings.table)
    shown = [thumbnails.of(t, count=4)[0] is not None for t in embeddings.table]
    assert shown == [False, False, False, *[True] * 33]
    assert thumbnails.missing == 3
    everything_gone = replace(embeddings, table=replace(embeddings.table, root=tmp_path / "gone"))
    results = evaluate_directions(everything_gone, HITSZ_VCM)
    page = render_page(results, everything_gone, title="t")
    assert "no frame" in page
    assert "frames could not be read" in page


def test_names_from_outside_cannot_inject_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    rows = [
        row(f"{evil}{i}", f'{evil}"{i % 3}', f"{evil}&{i}", m)
        for i in range(6)
        for m in (VIS, IR)
        if (i + (m is IR)) % 2
    ]
    embeddings = embedding_set(rows, source=evil, root=tmp_path)
    results = evaluate_directions(embeddings, GENERIC)
    page = render_page(results, embeddings, title=evil)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_strips_are_spread_over_the_tracklet(tmp_path: Path) -> None:
    frames = tuple(f"{i}.png" for i in range(8))
    for i, frame in enumerate(frames):
        Image.new("RGB", (400, 900), (30 * i, 0, 0)).save(tmp_path / frame)
    tracklet = Tracklet(name="a", frames=frames, modality=VIS)
    thumbnails = Thumbnails(replace(embedding_set([row("b", "1", None, VIS)]).table, root=tmp_path))
    assert thumbnails.of(tracklet, count=4) == [thumbnails.frame(frames[i]) for i in (1, 3, 5, 7)]
    assert thumbnails.of(tracklet, count=1) == [thumbnails.frame(frames[4])]
    assert len(thumbnails.of(replace(tracklet, frames=frames[:2]), count=4)) == 2
    assert len(set(thumbnails.of(tracklet, count=8))) == 8
    uri = thumbnails.of(tracklet, count=1)[0]
    assert uri is not None
    assert len(uri) < 6000


def test_rank_lists_show_best_typical_and_worst_of_different_people() -> None:
    embeddings = people(12, noise=2.5)
    result = evaluate(embeddings, HITSZ_VCM, direction=I2V)
    lists = rank_lists(result, embeddings, per_kind=3)
    assert [entry.kind for entry in lists] == ["best"] * 3 + ["typical"] * 3 + ["worst"] * 3
    assert len({entry.row for entry in lists}) == 9
    for start in (0, 3, 6):
        assert len({embeddings.table[e.row].identity for e in lists[start : start + 3]}) == 3
    best, typical, worst = (
        max(e.average_precision for e in lists if e.kind == kind) for kind in ("best", "typical", "worst")
    )
    assert best > typical > worst
    for entry in lists:
        hits = [i + 1 for i, m in enumerate(entry.matches) if m.hit]
        assert (hits[0] if hits else 11) == min(entry.first_hit, 11)
        query = embeddings.table[entry.row]
        for match in entry.matches:
            found = embeddings.table[match.row]
            assert match.hit == (found.identity == query.identity)
            assert (found.identity, found.camera) != (query.identity, query.camera)


def test_few_queries_are_not_shown_twice() -> None:
    embeddings = people(2, cameras=2)
    result = evaluate(embeddings, HITSZ_VCM, direction=I2V)
    lists = rank_lists(result, embeddings, per_kind=3)
    assert sorted(e.row for e in lists) == sorted(result.selection.query)


def test_simulated_archives_are_flagged(tmp_path: Path) -> None:
    filmed = people(root=tmp_path)
    assert not is_simulated(filmed)
    assert is_simulated(people(source="simulated hitsz-vcm"))
    (tmp_path / "simulation.json").write_text("{}")
    assert is_simulated(filmed)
    results = evaluate_directions(filmed, HITSZ_VCM)
    assert "Simulated data" in render_page(results, filmed, title="t")
    assert not any("published protocol" in w for w in warnings(results, simulated=True))
    assert any("published: 4,584 and 5,099" in w for w in warnings(results, simulated=False))


def test_people_named_minus_one_are_pointed_out() -> None:
    """Market-1501 and MARS mark so whom nobody knows; here it would be one person with many positives."""
    embeddings = people(3)
    rows = [replace(r, identity="-1") if r.identity != "0000" else r for r in embeddings.table]
    marked = replace(embeddings, table=replace(embeddings.table, rows=tuple(rows)))
    for one, told in ((embeddings, False), (marked, True)):
        found = warnings([evaluate(one, GENERIC, direction=I2V)], simulated=False)
        assert any("'-1'" in text and "I2V 6 queries" in text for text in found) == told


def test_every_oddity_is_a_warning() -> None:
    rows = [
        row("a", "1", None, VIS),
        row("b", "1", None, VIS),
        row("c", "2", None, VIS),
        row("d", None, None, VIS),
    ]
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=np.float32)
    result = evaluate(embedding_set(rows, vectors), GENERIC, direction=V2V)
    found = warnings([result], simulated=False)
    assert [w.split(":")[1].strip() for w in found] == [
        "vis->vis 1 of 3.",
        "vis->vis 1 queries and 1 of the gallery.",
        "vis->vis 2 of 2.",
        "vis->vis person 1.",
    ]
    table = format_table([result], notes=found)
    assert "[" not in table.splitlines()[3], "one identity has no interval"


def test_an_interval_without_width_is_not_sold_as_certainty() -> None:
    result = evaluate(people(5, noise=0.01), HITSZ_VCM, direction=I2V)
    assert any("no certainty: I2V Rank-1 and" in w for w in warnings([result], simulated=True))


def test_the_text_table_has_protocol_scores_intervals_and_counts() -> None:
    results = evaluate_directions(people(10, noise=2.0), HITSZ_VCM)
    text = format_table(results)
    assert text.splitlines()[0].startswith(HITSZ_VCM.label)
    for name in ("Rank-1", "Rank-20", "mAP", "mINP", "queries", "valid", "dropped", "gallery", "I2V", "V2I"):
        assert name in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_curve_has_one_line_per_direction_and_labels_apart() -> None:
    embeddings = people(10, noise=0.1)
    svg = cmc_chart(evaluate_directions(embeddings, HITSZ_VCM, directions=(I2V, V2I, V2V)))
    assert svg.count("<polyline") == 3
    labels = re.findall(r'<text x="[\d.]+" y="([\d.]+)">', svg)
    heights = sorted(map(float, labels))
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 16


def test_an_unwritable_folder_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    embeddings = people()
    with pytest.raises(XReidError, match="cannot write"):
        write_report(evaluate_directions(embeddings, HITSZ_VCM), embeddings, tmp_path / "file")
