"""Options of a verb come from its dataclass: defaults, types and help live there, once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, NoReturn, TypeVar, get_origin, get_type_hints

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
    `positional` may also be given by place, in order, a list among them takes all words that are left.
    Lists take several words (`--directions I2V V2I`), a flag needs no value (`--json`).
    `--config FILE` reads a YAML file first.

    Raises:
        ConfigError: An option is unknown, missing or of the wrong type.
    """
    parser = VerbParser(prog=f"xreid {verb}", description=(options.__doc__ or "").split("\n")[0])
    parser.add_argument("--config", action="config", help="YAML file with options")
    parser.add_class_arguments(options)
    words = plain_words(options, argv, positional=positional)
    values: dict[str, Any] = parser.instantiate(parser.parse_args(words)).as_dict()
    values.pop("config", None)
    return options(**values)


def plain_words(options: type[object], argv: Sequence[str], *, positional: Sequence[str] = ()) -> list[str]:
    """The words as `--field value`, with lists as JSON and flags as `--flag=true`."""
    kinds: dict[str, Kind] = {name: _kind(hint) for name, hint in get_type_hints(options).items()}
    kinds["config"] = "value"
    words, plain, places = list(argv), list[str](), list(positional)
    while words:
        word = words.pop(0)
        if word == "-" or not word.startswith("-"):
            if not places:
                plain.append(word)
                continue
            name, equals = places.pop(0), ""
            words.insert(0, word)
        else:
            name, equals, value = word.removeprefix("--").partition("=")
            name = name.replace("-", "_")
            if kinds.get(name.partition(".")[0]) is None or not word.startswith("--"):
                plain.append(word)
                continue
            if equals and kinds.get(name) == "list":
                listed = value if value[:1] == "[" else json.dumps([value])
                plain.append(_with_those_before(plain, name, listed))
                continue
            if equals:
                plain.append(f"--{name}={value}")
                continue
        taken = _take(words, kind=kinds.get(name) or "value")
        if taken and kinds.get(name) == "list":
            plain.append(_with_those_before(plain, name, taken[0]))
            continue
        plain += [f"--{name}={taken[0]}"] if taken else [f"--{name}"]
    return plain


def _with_those_before(plain: list[str], name: str, value: str) -> str:
    """A list that is named again goes on: what was said before is taken from the words and put before it."""
    before = [word for word in plain if word.startswith(f"--{name}=[")]
    if not before:
        return f"--{name}={value}"
    try:
        lists = [_listed(word.partition("=")[2]) for word in (*before, f"--{name}={value}")]
    except ValueError:  # no list: the parser says so
        return f"--{name}={value}"
    plain[:] = [word for word in plain if word not in before]
    return f"--{name}={json.dumps([one for some in lists for one in some], default=str)}"


def _listed(text: str) -> list[Any]:
    """A list in JSON or, as in a file of options, in YAML; ValueError where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        import yaml

        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(text) from error
    if not isinstance(found, list):
        raise ValueError(text)
    return found


Kind = Literal["list", "flag", "value"]


def _kind(hint: object) -> Kind:
    if hint is bool:
        return "flag"
    return "list" if get_origin(hint) in (list, tuple) else "value"


def _take(words: list[str], *, kind: Kind) -> list[str]:
    """Remove an option's values from the words that follow it; at most one word comes back."""
    values = []
    if kind == "list":
        while words and not words[0].startswith("--"):
            values.append(words.pop(0))
        literal = len(values) == 1 and values[0].startswith("[")
        return values if literal or not values else [json.dumps(values)]
    if kind == "flag":
        spelt = bool(words) and words[0].lower() in ("true", "false")
        return [words.pop(0)] if spelt else ["true"]
    return [words.pop(0)] if words and not words[0].startswith("--") else []
