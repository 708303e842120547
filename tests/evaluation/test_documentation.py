"""The protocol table of docs/protocols.md is held to the code; the blocks are run by tests/docs."""

import re
from pathlib import Path

from xreid.evaluation.protocols import PROTOCOLS

PAGE = Path(__file__).parents[2] / "docs" / "protocols.md"


def test_the_protocol_table_is_the_codes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert dict(re.findall(r"\| `([\w/-]+)` \| `(\w{8})` \|", text)) == {
        p.name: p.hash for p in PROTOCOLS.values()
    }
    for protocol in PROTOCOLS.values():
        for sizes in protocol.published.values():
            assert f"{sizes.valid_queries:,} x {sizes.gallery:,}" in text
