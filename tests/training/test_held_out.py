"""Which tracklets a run held out, from its folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.problems import people
from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import TrackletTable
from xreid.training.held_out import held_out_tracklets
from xreid.training.material import held_out_identities


def table(subset: str = "train") -> TrackletTable:
    found = people(10).table
    rows = [*found.rows]
    from dataclasses import replace

    named = tuple(replace(r, subset=subset if int(r.identity or 0) < 8 else "gallery") for r in rows)
    return replace(found, rows=named)


def record(names: Any, *, auxiliary: bool = False) -> dict[str, Any]:
    return {"data": {"held_out_identities": names}, "config": {"archive": {"auxiliary": auxiliary}}}


def write(folder: Path, value: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(value))
    return folder


def test_all_tracklets_of_those_people_and_no_others(tmp_path: Path) -> None:
    names = held_out_identities(table().subset("train"), share=0.4, seed=3)
    run = write(tmp_path / "run", record(sorted(names)))
    (run / "checkpoint").mkdir()
    for place in (run, run / "checkpoint"):
        found = held_out_tracklets(table(), place)
        assert set(found.identities()) == names
        assert len(found) == 3 * 6
        assert {row.subset for row in found} == {"train"}


def test_auxiliary_people_where_the_run_used_them(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        held_out_tracklets(table("auxiliary"), write(tmp_path / "a", record(["0001"])))
    found = held_out_tracklets(table("auxiliary"), write(tmp_path / "b", record(["0001"], auxiliary=True)))
    assert found.identities() == ["0001"]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (record([]), ConfigError, "held nobody out"),
        (record(["0001", "0777"]), DataError, "lacks 1 of the 2 people"),
        (record(["0009"]), DataError, "lacks 1 of the 1 people"),  # a test person of that name
        ({"data": {}}, DataError, "no run as xreid writes it"),
        (record(None), DataError, "no run as xreid writes it"),
    ],
)
def test_what_cannot_be_found_is_said(
    value: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        held_out_tracklets(table(), write(tmp_path / "run", value))


def test_a_checkpoint_without_its_run_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no run"):
        held_out_tracklets(table(), tmp_path)
