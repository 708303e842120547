"""Which conditions of a filter are to blame where it lets nothing through."""

from __future__ import annotations

from dataclasses import fields

from xreid.retrieval.columns import UNIX_FROM_S, Filter
from xreid.retrieval.gallery import Gallery

_OPTIONS = {
    "modality": "--modality",
    "cameras": "--camera",
    "places": "--place",
    "from_s": "--from",
    "to_s": "--to",
    "known": "--known",
    "min_quality": "--min-quality",
    "labels": "--label",
    "sets": "--set",
    "identities": "--person",
}


def too_narrow(gallery: Gallery, rules: Filter) -> str:
    """What lets nothing through even by itself, in words; empty where only all of it together does.

    Args:
        gallery: Where.
        rules: The filter.
    """
    plain = Filter()
    given = [one.name for one in fields(rules) if getattr(rules, one.name) != getattr(plain, one.name)]
    blamed = []
    for name in given:
        value = getattr(rules, name)
        if name in _OPTIONS and not gallery.count(Filter(**{name: value})):
            words = [str(one) for one in value] if isinstance(value, tuple) else []
            blamed.append(" ".join([_OPTIONS[name], *words]))
    found = f"none passes {' or '.join(blamed)} by itself" if blamed else ""
    dated = any((getattr(rules, name) or 0) >= UNIX_FROM_S for name in ("from_s", "to_s"))
    if dated and blamed and not gallery.count(Filter(from_s=UNIX_FROM_S)):
        found += "; no tracklet has a date: times count from the start of each recording"
    return found
