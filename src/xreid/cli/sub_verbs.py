"""Verbs of verbs: `xreid gallery add`, `xreid watch list`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xreid.cli.options import parse
from xreid.core.errors import ConfigError

# What runs it, its options, and which of them may be given by place, after the gallery.
SubVerbs = Mapping[str, tuple[Callable[[Any], None], type[Any], tuple[str, ...]]]


def run_sub_verb(verbs: SubVerbs, argv: Sequence[str], *, of: str, to: str, about: str = "") -> int:
    """Run the one that the first word names.

    Args:
        verbs: All of them.
        argv: The words after `xreid {of}`.
        of: The verb they are verbs of.
        to: What is done something to, in words.
        about: Lines for `--help`.

    Raises:
        ConfigError: The first word names none.
    """
    verb = argv[0] if argv else ""
    if verb in ("-h", "--help"):
        print(_usage(verbs, of, about))
        raise SystemExit(0)
    if verb not in verbs:
        raise ConfigError(
            f"{verb!r} is nothing to do {to}" if verb else f"say what to do {to}",
            expected=f"one of {', '.join(verbs)}, and a gallery",
            todo=f"See `xreid {of} --help`.",
        )
    function, options, positional = verbs[verb]
    words = [long_word(word) for word in argv[1:]]
    function(parse(options, words, verb=f"{of} {verb}", positional=("gallery", *positional)))
    return 0


def long_word(word: str) -> str:
    """--from and --to, which Python has no field names for."""
    name, equals, value = word.partition("=")
    return {"--from": "--from_time", "--to": "--to_time"}.get(name, name) + equals + value


def _usage(verbs: SubVerbs, of: str, about: str) -> str:
    width = max(map(len, verbs))
    lines = [f"  {name:<{width}}  {(v[1].__doc__ or '').splitlines()[0]}" for name, v in verbs.items()]
    head = f"usage: xreid {of} VERB GALLERY [options]      xreid {of} VERB --help"
    return "\n".join([head, "", *([about, ""] if about else []), *lines])
