"""An ablation from nothing to its outputs: shared runs, resume after a kill, failures, what is written."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests.training.ablation_micro import asked, run, run_and_die, run_without_failure
from tests.training.micro import in_process, spawner
from tests.waiting import files_in, until
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.core.tracklets import TrackletTable
from xreid.evaluation.metrics import METRICS
from xreid.training import ablation_plan, ablation_pool
from xreid.training.ablation import Ablation
from xreid.training.ablation_plan import AblationConfig, Plan, key_of, make_plan, read_archive, test_rows
from xreid.training.ablation_tables import TABLES, tables_named
from xreid.training.ablation_text import CSV_HEAD, latex, markdown, problems
from xreid.training.config import ArchiveConfig, TrainConfig
from xreid.training.material import held_out_identities, training_rows
from xreid.training.run_folder import locked
from xreid.training.settings import changed

test_rows.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def done(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ablation, Path]:
    """Tables 3 and 4 with two seeds; nobody may change it."""
    out = tmp_path_factory.mktemp("ablation") / "out"
    return run("table3 table4", archive, out), out


def values(results: dict[str, Any]) -> dict[str, Any]:
    """The scores without times and folders."""
    return {row["name"]: (row["scores"], row["differences"]) for row in results["rows"]}


def test_what_is_one_configuration_is_trained_once(done: tuple[Ablation, Path]) -> None:
    ablation, out = done
    assert ablation.failures == {}
    assert len(list((out / "runs").iterdir())) == 2 * 7  # 3 + 6 rows, of which two are the same
    table3, table4 = ({row["name"]: row for row in t["rows"]} for t in ablation.tables)
    for first, second in (("baseline", "visual memories"), ("+ CPC", "CPC")):
        assert [r["key"] for r in table3[first]["runs"]] == [r["key"] for r in table4[second]["runs"]]
        assert table3[first]["scores"] == table4[second]["scores"]
    assert table4["textual prompts"]["label"] == "random text encoder"


def test_done_runs_are_not_touched_again(
    done: tuple[Ablation, Path], archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ablation, out = done

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("something was trained")

    monkeypatch.setattr(ablation_pool, "complete", refuse)
    again = run("table4 table3", archive, out)
    assert [values(t) for t in again.tables] == [values(t) for t in reversed(ablation.tables)]
    with pytest.raises(AssertionError, match="something was trained"):
        run("table3", archive, out, seeds=3)


def test_results_say_how_they_came_about(done: tuple[Ablation, Path]) -> None:
    results = done[0].tables[0]
    assert results["protocol"]["label"] == "hitsz-vcm v1 [0633e362]"
    assert results["selection_rule"].startswith("the last epoch is kept")
    assert (results["seeds"], results["on"], results["scale"]) == ([0, 1], "test", "tiny")
    row = results["rows"][2]
    assert [d["against"] for d in row["differences"]] == ["+ CPC", "baseline"]
    score = row["scores"]["V2I"]["mAP"]
    assert score["mean"] == pytest.approx(sum(score["per_seed"].values()) / 2)
    assert score["low"] <= score["mean"] <= score["high"]
    difference = row["differences"][0]["V2I"]["mAP"]
    other = results["rows"][1]["scores"]["V2I"]["mAP"]
    assert difference["mean"] == pytest.approx(score["mean"] - other["mean"])
    assert all(run["train_seconds"] > 0 and run["embedded"]["tracklets"] == 8 for run in row["runs"])
    assert row["parameters"] > results["rows"][0]["parameters"] > 1000
    assert row["paper"] == {}  # the lists are not as long as HITSZ-VCM's


def test_tables_parse(done: tuple[Ablation, Path]) -> None:
    ablation, out = done
    results = json.loads((out / "table3" / "results.json").read_text())
    assert results == ablation.tables[0]
    lines = list(csv.DictReader(io.StringIO((out / "table3" / "table.csv").read_text())))
    assert tuple(lines[0]) == CSV_HEAD
    assert len(lines) == (3 + 3) * 2 * len(METRICS)  # rows and differences, directions
    found = next(
        line
        for line in lines
        if (line["row"], line["minus"], line["direction"], line["metric"]) == ("+ MII", "", "I2V", "mAP")
    )
    expected = results["rows"][2]["scores"]["I2V"]["mAP"]
    assert float(found["mean"]) == pytest.approx(100 * expected["mean"], abs=1e-3)
    assert found["seeds"] == "0 1"
    text = (out / "table3" / "table.md").read_text()
    assert f"| + MII | {100 * results['rows'][2]['scores']['I2V']['Rank-1']['mean']:.1f} [" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    tex = (out / "table4" / "table.tex").read_text()
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 1
    body = [line for line in tex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in body} == {4}
    assert not re.search(r"(?<!\\)[%_#]", "".join(body))


def test_figures_and_page_open(done: tuple[Ablation, Path]) -> None:
    ablation, out = done
    with Image.open(out / "table3" / "figure.png") as image:
        image.load()
        assert image.width > 800
    assert ElementTree.parse(out / "table3" / "figure.svg").getroot().tag.endswith("svg")
    page = ablation.page.read_text()
    assert page.count("<figure") == 2
    assert page.index("Table 3") < page.index("Table 4")
    assert "random text encoder" in page
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)


def test_killed_in_mid_run_and_started_again(
    done: tuple[Ablation, Path], archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert in_process(run_and_die, "table3", archive, out, 4) == -signal.SIGKILL
    assert len(list((out / "runs").glob("*/evaluation.json"))) == 1
    assert values(run("table3", archive, out).tables[0]) == values(done[0].tables[0])


def test_processes_do_what_one_does_and_end_with_a_killed_parent(
    done: tuple[Ablation, Path], archive: Path, tmp_path: Path
) -> None:
    table, out = tmp_path / "mine.yaml", tmp_path / "out"
    rows = [f"{{name: e{n}, preset: baseline, overrides: {{train.epochs: {n}}}}}" for n in (1, 100_000)]
    table.write_text(f"rows: [{', '.join(rows)}]\n")
    overrides: dict[str, Any] = {**asked().overrides, "train": {"precision": "fp32", "tensorboard": False}}
    named = {"jobs": 1, "seeds": 1, "overrides": overrides}
    parent = spawner().Process(target=run, args=(str(table), archive, out), kwargs=named)
    parent.start()
    until(lambda: files_in(out / "runs", "mine-e100000*/run/run.json") or not parent.is_alive())
    found: list[str] = []

    def one_child() -> bool:
        found[:] = _children(parent.pid)
        return len(found) == 1 or not parent.is_alive()

    until(one_child)
    (child,) = found
    parent.kill()
    parent.join()
    try:
        until(lambda: not _is_alive(child))
    finally:
        if _is_alive(child):
            os.kill(int(child), signal.SIGKILL)
    (folder,) = (out / "runs").glob("mine-e1-*")  # the table's first row is table 3's baseline
    (twin,) = (done[1] / "runs").glob(f"*-{folder.name.rpartition('-')[2]}")
    first, second = (json.loads((f / "evaluation.json").read_text()) for f in (folder, twin))
    assert first["results"] == second["results"]


@pytest.mark.parametrize("jobs", [0, 1])
def test_a_run_that_another_process_is_at_is_waited_for(archive: Path, tmp_path: Path, jobs: int) -> None:
    out = tmp_path / "out"
    (first, *others) = (
        run.folder
        for run in make_plan(tables_named(["table3"]), asked(seeds=1), data=archive, out=out).unique()
    )
    with locked(first):
        other = spawner().Process(target=run_without_failure, args=("table3", archive, out, jobs))
        other.start()
        until(
            lambda: all((folder / "evaluation.json").is_file() for folder in others) or not other.is_alive()
        )
        assert other.is_alive()
        assert not (first / "evaluation.json").exists()
    other.join()
    assert other.exitcode == 0
    assert not (first / "failure.txt").exists()


def _children(pid: int | None) -> list[str]:
    """Processes of all threads of a process; threads end while one looks."""
    found = list[str]()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found += (task / "children").read_text().split()
    return found


def test_a_process_that_dies_is_reported(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablation_pool, "_WORKER", "tests")  # a package without __main__ ends at once
    found = run("table3", archive, tmp_path / "out", jobs=2, seeds=1)
    assert len(found.failures) == 3
    assert all("ended with code 1" in problem for problem in found.failures.values())
    assert "No run is done yet" in (tmp_path / "out" / "table3" / "table.md").read_text()
    assert (tmp_path / "out" / "logs" / "process-0.log").read_text()


def _is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_that_fails_stops_no_other(archive: Path, tmp_path: Path) -> None:
    out, overrides = tmp_path / "out", dict(asked().overrides)
    overrides["prompts"] = {"epochs": 1, "weights": str(tmp_path / "absent.safetensors")}
    found = run("table4", archive, out, seeds=1, overrides=overrides)
    assert len(found.failures) == 1
    assert "absent.safetensors" in next(iter(found.failures.values()))
    rows = {row["name"]: row for row in found.tables[0]["rows"]}
    assert rows["textual prompts"]["missing_seeds"] == [0]
    assert "absent.safetensors" in rows["textual prompts"]["runs"][0]["problem"]
    assert rows["visual memories"]["scores"]
    assert [d["against"] for d in rows["visual memories"]["differences"]] == ["vanilla"]
    failed = next((out / "runs").glob("table4-textual*"))
    assert "absent.safetensors" in (failed / "failure.txt").read_text()
    text = (out / "table4" / "table.md").read_text()
    assert "| textual prompts (MISSING) | missing |" in text
    assert "absent.safetensors" in text
    assert "absent.safetensors" in found.page.read_text()
    csv_lines = (out / "table4" / "table.csv").read_text().splitlines()
    assert {line.count(",") for line in csv_lines} == {len(CSV_HEAD) - 1}


def test_people_held_out_of_training_are_scored(archive: Path, tmp_path: Path) -> None:
    overrides: dict[str, Any] = {**asked().overrides, "selection": {"held_out": 0.5}}
    overrides["batch"] = {"identities": 2, "per_epoch": 2}
    found = run("table3", archive, tmp_path / "out", on="held-out", overrides=overrides)
    assert found.failures == {}
    assert found.folders[0].name == "table3-held-out"
    for each in found.tables[0]["rows"][0]["runs"]:
        folder = tmp_path / "out" / each["folder"]
        record = json.loads((folder / "run" / "run.json").read_text())
        scores = json.loads((folder / "evaluation-held-out.json").read_text())
        assert set(scores["results"]["I2V"]["identities"]) == set(record["data"]["held_out_identities"])
    assert any("held out of training" in note for note in found.tables[0]["notes"])
    with pytest.raises(ConfigError, match="holds nobody out"):
        run("table3", archive, tmp_path / "other", on="held-out")


def test_what_cannot_be_scored_or_written_is_refused_before_training(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such direction: 'sideways'"):
        AblationConfig(scale="tiny", directions=("I2V", "sideways"))
    file = tmp_path / "file"
    file.write_text("kept")
    with pytest.raises(ConfigError, match="is a file"):
        run("table3", archive, file)
    assert file.read_text() == "kept"


@pytest.mark.parametrize("on", ["test", "held-out"])
@pytest.mark.parametrize(
    ("protocol", "direction"), [("hitsz-vcm/frames10", "I2V"), ("bupt-campus/full", "all->all")]
)
def test_what_the_protocol_cannot_score_is_refused_before_training(
    archive: Path, tmp_path: Path, protocol: str, direction: str, on: Any
) -> None:
    overrides: dict[str, Any] = {**asked().overrides, "selection": {"held_out": 0.5}}
    if on == "test" and direction == "all->all":
        protocol, direction = "generic/lists", "vis->vis"  # HITSZ-VCM's query list is infrared
    with pytest.raises(ProtocolError):
        run(
            "table3",
            archive,
            tmp_path / "out",
            protocol=protocol,
            directions=(direction,),
            on=on,
            overrides=overrides,
        )
    assert not (tmp_path / "out").exists()


def test_who_is_not_held_out_hinders_no_scores(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = read_archive(archive, ArchiveConfig())
    rows = training_rows(table)
    names = held_out_identities(rows, share=0.5, seed=0)

    def plan(without_camera: bool) -> Plan:
        """The archive, where those held out, or those who are not, are of no known camera."""
        changed = [
            replace(row, camera=None) if (row.identity in names) == without_camera else row for row in rows
        ]
        monkeypatch.setattr(ablation_plan, "read_archive", lambda *_: replace(rows, rows=tuple(changed)))
        held: dict[str, Any] = {**asked().overrides, "selection": {"held_out": 0.5}}
        config = asked(1, on="held-out", protocol="hitsz-vcm", overrides=held)
        return make_plan(tables_named(["table3"]), config, data=archive, out=tmp_path)

    assert len(plan(without_camera=False).unique()) == 3
    with pytest.raises(ProtocolError, match="have no camera"):
        plan(without_camera=True)


def test_without_a_test_split_nothing_is_trained(archive: Path, tmp_path: Path) -> None:
    plan = make_plan(tables_named(["table3"]), asked(), data=archive, out=tmp_path)
    table: TrackletTable = plan.archive.subset("train")
    with pytest.raises(DataError, match="no test split"):
        test_rows(table)


def test_keys_know_what_a_run_reads() -> None:
    plain = TrainConfig()

    def key(values: dict[str, Any], listed: str = "data") -> str:
        return key_of(changed(plain, values), listed=listed)

    assert key({"preset": "other", "scale": "other"}) == key({})
    assert key({"prompts": {"epochs": 3}}) == key({})  # no prompts are learnt
    assert key({"train": {"seed": 1}}) != key({})
    assert key({"network": {"sii_stride": 2}}) != key({})
    assert key({}, "other data") != key({})
    prompts = {"train": {"memory": "prompts"}, "objective": {"cpc": {"update": "none"}}}
    assert key(prompts | {"prompts": {"epochs": 3}}) != key(prompts)


def test_a_prompt_encoder_counts_by_its_content(tmp_path: Path) -> None:
    prompts = {"train": {"memory": "prompts"}, "objective": {"cpc": {"update": "none"}}}
    keys = []
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
        weights = {"prompts": {"weights": str(tmp_path / name)}}
        keys.append(key_of(changed(TrainConfig(), prompts | weights), listed=""))
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("wrong", [{"seeds": ()}, {"seeds": (1, 1)}, {"overrides": {"train.seed": 3}}])
def test_seeds_come_from_the_ablation(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="seed"):
        AblationConfig(**wrong)


def test_the_papers_numbers_stand_only_beside_the_papers_data(done: tuple[Ablation, Path]) -> None:
    from xreid.training.ablation_results import _paper

    table = TABLES["table3"]
    real = {
        "source": "hitsz-vcm",
        "simulated": False,
        "on": "test",
        "results": {"I2V": {"published_list_sizes": True}, "V2I": {"published_list_sizes": True}},
    }
    found = _paper(table, table.row("+ CPC"), {0: real})
    assert found == {"I2V": {"Rank-1": 67.7, "mAP": 57.1}, "V2I": {"Rank-1": 71.4, "mAP": 56.6}}
    other = {"published_list_sizes": False}
    for change in ({"simulated": True}, {"on": "held-out"}, {"source": "own"}, {"results": {"I2V": other}}):
        assert _paper(table, table.row("+ CPC"), {0: real | change}) == {}
    results = json.loads(json.dumps(done[0].tables[0]))
    results["rows"][1]["paper"] = found
    assert "| + CPC | 67.7 | 57.1 | 71.4 | 56.6 |" in markdown(results)
    assert r"+ CPC (paper) & 67.7 & 57.1 & 71.4 & 56.6 \\" in latex(results)


def test_what_is_missing_is_said_once_for_all_seeds() -> None:
    runs = [{"seed": s, "done": s == 1, "problem": "not run"} for s in range(3)]
    assert problems({"rows": [{"name": "a", "runs": runs}]}) == ["a, seeds 0, 2: not run"]


def test_figures_of_strides_are_curves() -> None:
    from xreid.training.ablation_figure import draw

    value = {"mean": 0.3, "low": 0.2, "high": 0.4, "per_seed": {"0": 0.25, "1": 0.35}}
    scores = {d: {"Rank-1": value, "mAP": value} for d in ("I2V", "V2I")}
    rows = [
        {
            "name": row.name,
            "x": row.x,
            "scores": scores if row.x != 3 else {},
            "label": "",
            "missing_seeds": [],
        }
        for row in TABLES["fig5"].rows
    ]
    results = {"rows": rows, "axis": "S", "directions": ["I2V", "V2I"], "title": "t", "seeds": [0, 1]}
    results["protocol"] = None
    panel = draw(results).axes[0]
    assert list(panel.get_xticks()) == [0, 1, 2, 3, 4]
    assert len(panel.lines[0].get_xdata()) == 4  # the missing one is left out
