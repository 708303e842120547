"""The table that docs/data.md shows is one that can be read; its other blocks are run by tests/docs."""

import re
from pathlib import Path

from xreid.data import open_archive

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def test_csv_block(tmp_path: Path) -> None:
    (block,) = re.findall(r"```csv\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "frames.csv").write_text(block)
    table = open_archive(tmp_path)
    assert [(row.identity, row.modality.value, len(row.frames)) for row in table] == [
        ("anna", "vis", 2),
        (None, "ir", 1),
    ]
