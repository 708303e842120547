"""A process that is killed at a step of what it does to files."""

import os
import signal
from typing import Any


def killed_at(step: int, *places: tuple[Any, str]) -> None:
    """From now on this process dies before the call number `step` of these functions, from 1.

    Args:
        step: Of all calls together.
        places: Where a function stands, and its name there.
    """
    count = 0

    def counted(function: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return wrapped

    for place, name in places:
        setattr(place, name, counted(getattr(place, name)))
