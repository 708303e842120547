"""Processes that kill themselves at a chosen step of what they do to files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

# One process imports everything and forks for each kill: importing takes seconds, a fork milliseconds.
_FORKS = """
import json, os, shutil, signal, sys
import pandas  # what pyarrow imports when it first makes a table
from pathlib import Path
from tests.retrieval.sets import make_set
from xreid.retrieval.gallery import Gallery
import xreid.retrieval.gallery_packs as packs

steps = 0
def armed(stop):
    def step():
        global steps
        steps += 1
        if steps == stop:
            os.kill(os.getpid(), signal.SIGKILL)
    def around(function):
        def wrapped(*args, **kwargs):
            step()
            result = function(*args, **kwargs)
            step()
            return result
        return wrapped
    for place, name in ((os, "fsync"), (os, "replace"), (os, "rename"), (Path, "rename"), (Path, "replace")):
        setattr(place, name, around(getattr(place, name)))
    shutil.rmtree = around(shutil.rmtree)

def done(gallery):
    %s

for line in sys.stdin:
    stop, folder = json.loads(line)
    child = os.fork()
    if not child:
        gallery = Gallery.open(folder)
        armed(stop)
        try:
            done(gallery)
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def killer(code: str) -> Iterator[Callable[[int, Path], bool]]:
    """Yield a function that opens the gallery of a folder in a process, runs code and kills at a step.

    It returns whether the kill came before the end. Each renaming, syncing and deleting of a file or folder
    is two steps.

    Args:
        code: What to do to `gallery`; may use make_set and packs (the module).
    """
    command = [sys.executable, "-c", _FORKS % code]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout

        def killed(stop: int, folder: Path) -> bool:
            print(json.dumps([stop, str(folder)]), file=asked, flush=True)
            status = int(told.readline())
            assert status in (0, -signal.SIGKILL)
            return status != 0

        try:
            yield killed
        finally:
            asked.close()


def every(stride: int) -> Iterator[int]:
    """Steps to be killed at, without end."""
    return count(1, stride)
