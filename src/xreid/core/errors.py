"""The one error type that reaches users."""

from __future__ import annotations


class XReidError(Exception):
    """A problem the user can mend: what was expected, what was got, what to do.

    The command line catches it once, prints the message and exits with code 2.
    """

    def __init__(self, what: str, *, expected: str = "", got: str = "", todo: str = "") -> None:
        self.what, self.expected, self.got, self.todo = what, expected, got, todo
        parts = [what.rstrip(".")]
        parts += [f"expected {expected}"] if expected else []
        parts += [f"got {got}"] if got else []
        message = "; ".join(parts) + "."
        super().__init__(f"{message} {todo}".rstrip())

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by keyword fields, so that worker processes can raise it."""
        return _rebuild, (type(self), self.what, self.expected, self.got, self.todo)


def _rebuild(cls: type[XReidError], what: str, expected: str, got: str, todo: str) -> XReidError:
    return cls(what, expected=expected, got=got, todo=todo)


class DataError(XReidError):
    """An archive, table, frame or video is missing, malformed or inconsistent."""


class ConfigError(XReidError):
    """An option, preset or configuration file is wrong."""


class CheckpointError(XReidError):
    """Weights or a checkpoint are absent, damaged or of another shape."""


class ProtocolError(XReidError):
    """An evaluation or search was asked of embeddings that cannot answer it."""
