"""The rows are what the paper says, rows that are one configuration are equal, and wrong ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xreid.core.errors import ConfigError
from xreid.training.ablation_rows import Row, Table, nested, read_table, resolve
from xreid.training.ablation_tables import _PRINTED, TABLES, printed, tables_named
from xreid.training.config import TrainConfig
from xreid.training.presets import SCALES


def row(table: str, name: str, *, scale: str = "vit-b16", **overrides: Any) -> TrainConfig:
    return resolve(TABLES[table], TABLES[table].row(name), scale=scale, overrides=overrides)


def branches(config: TrainConfig) -> tuple[bool, bool, bool]:
    return config.network.use_sii, config.network.use_lii, config.network.use_cii


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_row_resolves_at_every_scale(table: Table, scale: str) -> None:
    found = {each.name: resolve(table, each, scale=scale) for each in table.rows}
    assert len({repr(config) for config in found.values()}) == len(table.rows)


@pytest.mark.parametrize("scale", SCALES)
def test_rows_of_several_tables_are_one_configuration(scale: str) -> None:
    assert row("table3", "baseline", scale=scale) == row("table4", "visual memories", scale=scale)
    assert row("table3", "+ CPC", scale=scale) == row("table4", "CPC", scale=scale)
    assert row("table3", "+ CPC", scale=scale) == row("table5", "none", scale=scale)
    assert row("table3", "+ MII", scale=scale) == row("table5", "all", scale=scale)
    assert row("table4", "vanilla", scale=scale) == row("rivals", "image", scale=scale)
    assert row("table3", "baseline", scale=scale) == row("rivals", "baseline", scale=scale)
    assert row("table3", "+ MII", scale=scale) == row("rivals", "paper", scale=scale)
    assert row("fig4", "S = 1", scale=scale) == row("fig5", "S = 2", scale=scale)


def test_table_4_is_about_the_memories() -> None:
    expected = {
        "vanilla": (False, "cross", "both", "once"),  # not read
        "textual prompts": (True, "none", "own", "prompts"),
        "visual memories": (True, "own", "own", "once"),
        "cross-modal update": (True, "cross", "own", "once"),
        "cross-modal collaboration": (True, "own", "both", "once"),
        "CPC": (True, "cross", "both", "once"),
    }
    for name, values in expected.items():
        config = row("table4", name)
        cpc = config.objective.cpc
        assert (cpc.enabled, cpc.update, cpc.pairing, config.train.memory) == values, name
        assert branches(config) == (False, False, False)


def test_table_5_has_the_eight_combinations_on_cpc() -> None:
    seen = set()
    for each in TABLES["table5"].rows:
        config = row("table5", each.name)
        parts = {"SII", "LII", "CII"} if each.name == "all" else set(each.name.split(" + "))
        assert branches(config) == tuple(part in parts for part in ("SII", "LII", "CII"))
        assert (config.objective.cpc.update, config.objective.cpc.pairing) == ("cross", "both")
        assert config.objective.cmcl_weight == (1.0 if "CII" in parts else config.objective.cmcl_weight)
        has_o = bool(parts & {"SII", "LII"})
        assert ("interaction" in config.network.classifiers) == has_o
        assert ("interaction" in config.objective.triplet_features) == has_o
        seen.add(branches(config))
    assert len(seen) == 8


def test_the_figures_vary_one_stride() -> None:
    for scale, frames, people in (("vit-b16", 10, 4), ("tiny", 6, 12)):
        for table, other in (("fig4", "lii"), ("fig5", "sii")):
            for each in TABLES[table].rows:
                config = row(table, each.name, scale=scale)
                strides = {"sii": config.network.sii_stride, "lii": config.network.lii_stride}
                assert strides.pop(other) == {"lii": 2, "sii": 1}[other]
                assert list(strides.values()) == [each.x]
                assert (config.batch.frames, config.batch.identities) == (frames, people)
    assert [each.x for each in TABLES["fig4"].rows] == [1, 2, 3, 4]
    assert [each.x for each in TABLES["fig5"].rows] == [0, 1, 2, 3, 4]


def test_what_the_authors_print_has_a_row_and_the_rows_have_what_they_print() -> None:
    for (_, table), values in _PRINTED.items():
        assert list(values) == [each.name for each in TABLES[table].rows]
    assert printed("table5", "all", source="hitsz-vcm")["V2I"] == {"Rank-1": 76.1, "mAP": 59.6}
    assert printed("table3", "baseline", source="bupt-campus")["I2V"]["Rank-1"] == 61.2
    assert printed("table4", "CPC", source="bupt-campus") == {}
    assert printed("table4", "CPC", source="own") == {}


def test_overrides_reach_every_row_and_win() -> None:
    config = row("fig4", "S = 3", scale="tiny", **{"batch.frames": 8, "train": {"epochs": 3}})
    assert (config.batch.frames, config.batch.identities, config.train.epochs) == (8, 12, 3)


def test_what_a_table_varies_cannot_be_overridden() -> None:
    with pytest.raises(ConfigError, match="network.use_sii is what rows of table5 differ in"):
        row("table5", "CII", network={"use_sii": True})
    with pytest.raises(ConfigError, match=r"row 'S = 3' of fig4: sii_stride"):
        row("fig4", "S = 3", scale="tiny", **{"batch.frames": 2})


def test_dotted_names_and_sections_mix() -> None:
    assert nested({"a.b": 1, "a": {"c.d": 2}, "e": {}}) == {"a": {"b": 1, "c": {"d": 2}}, "e": {}}


def test_rows_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "title: Temperature\naxis: tau\nrows:\n"
        "  - {name: usual, x: 0.05}\n"
        "  - name: colder\n    preset: baseline\n    extends: usual\n    x: 0.02\n"
        "    overrides: {objective.cpc.temperature: 0.02, network: {use_cii: true}}\n"
    )
    (table,) = tables_named([str(file)])
    assert (table.name, table.title, table.axis) == ("mine", "Temperature", "tau")
    assert table.row("colder").extends == ("usual",)
    config = resolve(table, table.row("colder"), scale="tiny")
    assert (config.objective.cpc.temperature, config.network.use_cii) == (0.02, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: [{name: a}, {name: a}]", "two rows 'a'"),
        ("rows: [{name: a, extends: b}]", "extends 'b'"),
        ("rows: [{name: a, extends: a}]", "extends 'a'"),
        ("rows: [{name: a, presets: b}]", "unknown key presets"),
        ("rows: [{preset: a}]", "malformed"),
        ("rows: [{name: a, x: left}]", "x is no number"),
        ("rows: []", "no rows"),
        ("title: a", "no rows"),
        ("row: []", "unknown key row"),
    ],
)
def test_wrong_rows_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_table(tmp_path / "t.yaml")


def test_tables_by_name(tmp_path: Path) -> None:
    assert [t.name for t in tables_named(["all"])] == list(TABLES)
    assert [t.name for t in tables_named(["fig5", "table3", "fig5"])] == ["fig5", "table3"]
    with pytest.raises(ConfigError, match="unknown table 'table9'"):
        tables_named(["table9"])
    (tmp_path / "table3.yaml").write_text("rows: [{name: a}]")
    with pytest.raises(ConfigError, match="is taken"):
        tables_named([str(tmp_path / "table3.yaml")])
    with pytest.raises(ConfigError, match="extends"):
        Table(name="t", title="t", rows=(Row(name="a", extends=("b",)),))
