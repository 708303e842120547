import subprocess
import sys
from pathlib import Path

import pytest

import xreid
from xreid.cli.main import VERBS, main


def test_without_a_verb_the_verbs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"xreid {xreid.__version__}\n"


def test_an_unknown_verb_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'trian'" in error


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_one_line_and_exit_code_2(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--no-such-option", "1"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("xreid: error:")
    assert error.count("\n") == 1, error


@pytest.mark.parametrize("verb", VERBS)
def test_help_explains_every_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert f"usage: xreid {verb}" in capsys.readouterr().out


def test_importing_does_nothing_and_needs_no_torch() -> None:
    """Nor does ingest by motion, whose processes each would import it, in seconds."""
    code = "import sys, xreid, xreid.cli.main, xreid.retrieval.many; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("words", ["train data out --threads -1", "embed run data out --threads -1"])
def test_negative_numbers_of_threads_are_one_line_and_exit_code_2(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    assert "must not be negative" in capsys.readouterr().err
    assert main(["embed", "run", "data", "out", "--workers=-1"]) == 2
    assert "must not be negative" in capsys.readouterr().err
