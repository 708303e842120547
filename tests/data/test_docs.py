"""The Python blocks of docs/data.md run, in a folder that holds the archive they name."""

import re
from pathlib import Path

import pytest

from tests.data.tiny_archives import write_hitsz
from xreid.data import open_archive

DOCS = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(_blocks("python"))))
def test_python_blocks(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_hitsz(tmp_path / "HITSZ-VCM")
    monkeypatch.chdir(tmp_path)
    exec(compile(_blocks("python")[number], "docs/data.md", "exec"), {})


def test_csv_block(tmp_path: Path) -> None:
    (tmp_path / "frames.csv").write_text(_blocks("csv")[0])
    table = open_archive(tmp_path)
    assert [(row.identity, row.modality.value, len(row.frames)) for row in table] == [
        ("anna", "vis", 2),
        (None, "ir", 1),
    ]
