"""The tables and figures of the paper, the rivals, and the numbers that the authors print.

Rows without SII, LII and CII start from preset `baseline`, those with them from `paper`, and the one without
memories is the rivals' `image`: a row that stands in several tables is one configuration, trained once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from xreid.core.errors import ConfigError
from xreid.training.ablation_rows import Row, Table, read_table

_CROSS = {"objective.cpc.update": "cross"}
_BOTH = {"objective.cpc.pairing": "both"}
_CPC = {**_CROSS, **_BOTH}
_PROMPTS = {"train.memory": "prompts", "objective.cpc.update": "none"}
_NO_SII, _NO_LII, _NO_CII = ({f"network.use_{name}": False} for name in ("sii", "lii", "cii"))
_NO_O = {"network.classifiers": ["proj"], "objective.triplet_features": ["proj"]}

# At the tiny scale a clip has two frames, so strides above 1 do not fit; six frames of a third of the people
# make batches of the same number of frames (36 x 2 = 12 x 6). LII looks two frames away, as in the paper.
_LONGER = {"tiny": {"batch.frames": 6, "batch.identities": 12, "network.lii_stride": 2}}
_LONGER_NOTE = {
    "tiny": "Clips of 6 frames of 12 people a batch, where the tiny scale otherwise has 2 frames of 36: a "
    "stride must stay inside the clip. All points alike, so they compare with each other and not with the "
    "tables. LII's index is circular: with 6 frames a stride of 4 comes round to the frame two ahead."
}

TABLE3 = Table(
    name="table3",
    title="Table 3: the two modules",
    rows=(
        Row(name="baseline", preset="baseline"),
        Row(name="+ CPC", preset="baseline", changes=_CPC, extends=("baseline",)),
        Row(name="+ MII", extends=("+ CPC", "baseline")),
    ),
)
TABLE4 = Table(
    name="table4",
    title="Table 4: Cross-modality Prototype Collaboration",
    rows=(
        Row(name="vanilla", preset="image", changes={"objective.cpc.enabled": False}),
        Row(name="textual prompts", preset="baseline", changes=_PROMPTS, extends=("vanilla",)),
        Row(name="visual memories", preset="baseline", extends=("vanilla", "textual prompts")),
        Row(name="cross-modal update", preset="baseline", changes=_CROSS, extends=("visual memories",)),
        Row(name="cross-modal collaboration", preset="baseline", changes=_BOTH, extends=("visual memories",)),
        Row(
            name="CPC",
            preset="baseline",
            changes=_CPC,
            extends=("visual memories", "cross-modal update", "cross-modal collaboration"),
        ),
    ),
)
TABLE5 = Table(
    name="table5",
    title="Table 5: SII, LII and CII on CPC",
    rows=(
        Row(name="none", preset="baseline", changes=_CPC),
        Row(name="SII", changes={**_NO_LII, **_NO_CII}, extends=("none",)),
        Row(name="LII", changes={**_NO_SII, **_NO_CII}, extends=("none",)),
        Row(name="CII", changes={**_NO_SII, **_NO_LII, **_NO_O}, extends=("none",)),
        Row(name="SII + CII", changes=_NO_LII, extends=("SII", "CII", "none")),
        Row(name="LII + CII", changes=_NO_SII, extends=("LII", "CII", "none")),
        Row(name="SII + LII", changes=_NO_CII, extends=("SII", "LII", "none")),
        Row(name="all", extends=("SII + LII", "SII + CII", "LII + CII", "none")),
    ),
)
FIG4 = Table(
    name="fig4",
    title="Figure 4: stride of SII",
    axis="SII stride S",
    rows=tuple(
        Row(name=f"S = {s}", changes={"network.sii_stride": s}, extends=("S = 1",) if s != 1 else (), x=s)
        for s in (1, 2, 3, 4)
    ),
    at_scale=_LONGER,
    notes=_LONGER_NOTE | {"": "The paper's figure falls with the stride; 1 is best (it prints no numbers)."},
)
FIG5 = Table(
    name="fig5",
    title="Figure 5: stride of LII",
    axis="LII stride S (0: no exchange)",
    rows=tuple(
        Row(name=f"S = {s}", changes={"network.lii_stride": s}, extends=("S = 2",) if s != 2 else (), x=s)
        for s in (0, 1, 2, 3, 4)
    ),
    at_scale=_LONGER,
    notes=_LONGER_NOTE | {"": "In the paper's figure a stride of 2 is best (it prints no numbers)."},
)
_RIVALS = ("image", "pcl-clip", "tf-clip", "mitml", "m3-reid", "baseline")
RIVALS = Table(
    name="rivals",
    title="Rivals under one roof",
    rows=(
        *(Row(name=name, preset=name.replace("-", "_"), extends=("paper",)) for name in _RIVALS),
        Row(name="paper"),
    ),
    notes={"": "Differences are each row minus X-ReID (preset `paper`)."},
)
TABLES: Mapping[str, Table] = {t.name: t for t in (TABLE3, TABLE4, TABLE5, FIG4, FIG5, RIVALS)}


def tables_named(names: list[str]) -> tuple[Table, ...]:
    """The tables of these names, "all" of them, or those of YAML files, without repetition.

    Raises:
        ConfigError: There is no such table or file.
    """
    found: dict[str, Table] = {}
    for name in names:
        if name == "all":
            found |= TABLES
        elif name in TABLES:
            found[name] = TABLES[name]
        elif Path(name).suffix in (".yaml", ".yml"):
            table = read_table(Path(name))
            if table.name in TABLES or table.name == "runs" or table.name in found:
                raise ConfigError(f"the name of {name} is taken", todo="Rename the file.")
            found[table.name] = table
        else:
            raise ConfigError(
                f"unknown table {name!r}", expected=f"{', '.join(TABLES)}, all, or a file NAME.yaml"
            )
    return tuple(found.values())


# Percent: I2V Rank-1, I2V mAP, V2I Rank-1, V2I mAP (method.md of the paper's tables 3, 4 and 5).
_PRINTED: Mapping[tuple[str, str], Mapping[str, tuple[float, float, float, float]]] = {
    ("hitsz-vcm", "table3"): {
        "baseline": (64.4, 51.3, 67.0, 53.7),
        "+ CPC": (67.7, 57.1, 71.4, 56.6),
        "+ MII": (73.4, 60.5, 76.1, 59.6),
    },
    ("bupt-campus", "table3"): {
        "baseline": (61.2, 58.6, 61.7, 57.3),
        "+ CPC": (63.6, 62.6, 64.4, 61.2),
        "+ MII": (68.2, 68.5, 68.8, 65.9),
    },
    ("hitsz-vcm", "table4"): {
        "vanilla": (53.9, 44.0, 55.9, 42.0),
        "textual prompts": (54.5, 40.0, 56.9, 41.4),
        "visual memories": (64.4, 51.3, 67.0, 53.7),
        "cross-modal update": (67.5, 55.4, 70.5, 54.7),
        "cross-modal collaboration": (61.9, 49.0, 64.8, 51.0),
        "CPC": (67.7, 57.1, 71.4, 56.6),
    },
    ("hitsz-vcm", "table5"): {
        "none": (67.7, 57.1, 71.4, 56.6),
        "SII": (71.5, 58.9, 73.6, 57.6),
        "LII": (71.2, 59.6, 74.0, 58.4),
        "CII": (71.0, 59.2, 73.8, 58.0),
        "SII + CII": (72.0, 59.6, 74.5, 58.9),
        "LII + CII": (71.8, 60.0, 74.3, 58.6),
        "SII + LII": (72.9, 59.8, 75.5, 59.0),
        "all": (73.4, 60.5, 76.1, 59.6),
    },
}


def printed(table: str, row: str, *, source: str) -> dict[str, dict[str, float]]:
    """The authors' numbers in percent, direction -> metric -> value; empty where they print none."""
    values = _PRINTED.get((source, table), {}).get(row)
    if values is None:
        return {}
    i2v, v2i = values[:2], values[2:]
    return {name: {"Rank-1": pair[0], "mAP": pair[1]} for name, pair in (("I2V", i2v), ("V2I", v2i))}
