"""Options of a verb come from its dataclass: defaults, types and help live there, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from jsonargparse import ArgumentParser

from xreid.core.errors import ConfigError

T = TypeVar("T")


class VerbParser(ArgumentParser):
    """A parser that raises ConfigError, so that the command line prints one line and exits with 2."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise instead of printing usage and exiting."""
        text = " ".join(str(message).split())
        raise ConfigError(text, todo=f"See `{self.prog} --help`.") from ex


def parse(options: type[T], argv: Sequence[str], *, verb: str, positional: Sequence[str] = ()) -> T:
    """Parse `argv` into the dataclass `options`.

    Every field is an option `--field` (`--some-field` and `--some_field` are the same); those named in
    `positional` may also be given by place, in order.
    `--config FILE` reads a YAML file first.

    Raises:
        ConfigError: An option is unknown, missing or of the wrong type.
    """
    parser = VerbParser(prog=f"xreid {verb}", description=(options.__doc__ or "").split("\n")[0])
    parser.add_argument("--config", action="config", help="YAML file with options")
    parser.add_class_arguments(options)
    namespace = parser.parse_args(_underscored(options, _place(list(argv), positional)))
    values: dict[str, Any] = parser.instantiate_classes(namespace).as_dict()
    values.pop("config", None)
    return options(**values)


def _place(argv: list[str], positional: Sequence[str]) -> list[str]:
    """Turn leading plain words into `--name=word`, in the order of `positional`."""
    placed, names = [], list(positional)
    while argv and names and not argv[0].startswith("-"):
        placed.append(f"--{names.pop(0)}={argv.pop(0)}")
    return placed + argv


def _underscored(options: type[object], argv: list[str]) -> list[str]:
    """Spell `--some-field` as the field it names; other words stay as they are."""
    known = {
        f"--{name.replace('_', '-')}": f"--{name}" for name in getattr(options, "__dataclass_fields__", {})
    }
    words = [word.partition("=") for word in argv]
    return [known.get(name, name) + equals + value for name, equals, value in words]
