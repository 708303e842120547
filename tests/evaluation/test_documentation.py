"""docs/evaluation.md is executed; the protocol table of docs/protocols.md is held to the code."""

import re
from pathlib import Path

import pytest

from xreid.evaluation.protocols import PROTOCOLS

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"
PROTOCOL_PAGE = PAGE.with_name("protocols.md")


def test_the_python_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), {})
    assert (tmp_path / "report" / "evaluation.html").is_file()


def test_the_protocol_table_is_the_codes() -> None:
    text = PROTOCOL_PAGE.read_text(encoding="utf-8")
    assert dict(re.findall(r"\| `([\w/-]+)` \| `(\w{8})` \|", text)) == {
        p.name: p.hash for p in PROTOCOLS.values()
    }
    for protocol in PROTOCOLS.values():
        for sizes in protocol.published.values():
            assert f"{sizes.valid_queries:,} x {sizes.gallery:,}" in text
