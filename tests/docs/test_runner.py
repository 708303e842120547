"""The runner of documentation blocks notices what is wrong with a block."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, RUN, Block, blocks_of, listing, on_fewer_people, read_block, run_block
from xreid.simulation.config import small
from xreid.training.presets import preset_named


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path


def one(folder: Path, text: str) -> Block:
    (block,) = blocks_of(page(folder, text))
    return block


def test_fewer_people_for_those_commands_only() -> None:
    for command in ("simulate street --preset tiny", "train mine runs/mine", "embed runs/first people x"):
        assert on_fewer_people(command.split()) == command.split()
    assert on_fewer_people(["train", "people", "runs/first"])[3:] == ["--batch.identities", "3"]


def test_the_small_preset_is_enough_for_a_batch_of_the_tiny_scale() -> None:
    """What the first pages promise with the numbers of people that they name."""
    asked = preset_named("paper", scale="tiny").batch.identities
    assert asked <= small().train_identities == 40
    assert small().test_identities == 10


def test_blocks_marks_and_commands(tmp_path: Path) -> None:
    console = "```console\n$ xreid embed a b \\\n    c  # why\nshown\n```\n"
    nested = "- b\n  <!-- not run: gpu, four of them -->\n  ```bash\n  torchrun x\n  ```\n"
    text = f"a\n\n{console}{nested}"
    first, second = blocks_of(page(tmp_path, text))
    assert (first.place, first.is_run, first.kind) == ("page.md:3", True, "")
    assert [" ".join(command.split()) for command in first.commands()] == ["xreid embed a b c # why"]
    assert (second.place, second.is_run, second.reason) == ("page.md:10", False, "four of them")
    assert second.commands() == ["torchrun x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```\nx\n```\n", "language ''"),
        ("```cobol\nx\n```\n", "language 'cobol'"),
        ("<!-- not run: laziness, too long -->\n```bash\nx\n```\n", "not run: KIND, reason"),
        ("<!-- not run: gpu -->\n```bash\nx\n```\n", "not run: KIND, reason"),
    ],
)
def test_an_unknown_language_or_mark_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        blocks_of(page(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "```bash\nxreid verify nothing-here\n```\n",
        "```console\n$ xreid verify nothing-here\n```\n",
        "```bash\nmkdir a\nfalse | cat\ntrue\n```\n",
        "```python\nassert 1 == 2\n```\n",
    ],
)
def test_a_block_that_fails_is_noticed(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError):
        run_block(one(tmp_path, text), tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        "xreid embed runs/vcm archive out --subsets query",
        "xreid embroider runs/vcm archive out",
        "torchrun --nproc-per-node 2 -m xreid.cli.main embed a b c --batches 2",
    ],
)
def test_a_wrong_command_is_noticed_without_running_it(command: str, tmp_path: Path) -> None:
    text = "<!-- not run: minutes, long -->\n```bash\n{}\n```\n"
    with pytest.raises(AssertionError):
        read_block(one(tmp_path, text.format(command)))
    read_block(one(tmp_path, text.format("xreid embed runs/vcm archive out --subset query")))


def test_what_is_not_run_is_listed_with_its_reason() -> None:
    marked = [b for p in PAGES for b in blocks_of(p) if b.kind and b.language in RUN]
    assert marked
    assert all(f"{b.kind:<8} {b.reason}" in listing() for b in marked)
