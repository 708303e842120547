"""The demo's page: what it says beside matching without learning, and how long steps took."""

from pathlib import Path

import pytest

from tests.evaluation.problems import people
from xreid.cli.demo_page import DemoFacts, show_duration, write_demo_page
from xreid.evaluation.evaluator import evaluate_directions
from xreid.evaluation.protocols import HITSZ_VCM


@pytest.mark.parametrize(
    ("more", "said"), [(0.01, "does better here"), (0.0, "does just as well here"), (-0.01, "")]
)
def test_the_page_warns_where_matching_without_learning_does_as_well(
    more: float, said: str, tmp_path: Path
) -> None:
    embeddings = people(6, noise=2.0, root=tmp_path)
    results = evaluate_directions(embeddings, HITSZ_VCM)
    best = results[0].rank1 + more
    steps = [{"name": "train", "result": "<done>", "seconds": 61.0}]
    facts = DemoFacts(made="seed 0", steps=steps, matchers={"mean": best / 2, "HOG": best}, query="q7")
    page = write_demo_page(tmp_path / "index.html", results, embeddings, facts=facts).read_text()
    assert ("Matching without learning does" in page) == bool(said)
    assert said in page
    assert f"{100 * best:.2f}%" in page
    assert page.index(">HOG<") < page.index(">mean<"), "best matcher first"
    assert "&lt;done&gt;" in page
    assert "1 min 1 s" in page
    assert "q7" in page
    assert "✓" in page


def test_durations() -> None:
    assert [show_duration(s) for s in (0.04, 59.94, 60, 3599.6)] == [
        "0.0 s",
        "59.9 s",
        "1 min 0 s",
        "60 min 0 s",
    ]
