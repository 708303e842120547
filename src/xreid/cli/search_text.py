"""What a search prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from xreid.cli.tables import print_table
from xreid.retrieval.meaning import Meaning
from xreid.retrieval.persons import Person
from xreid.retrieval.search import SCORE_NOTE, Hit, SearchResult
from xreid.retrieval.why import Why
from xreid.retrieval.words import (
    name_of,
    show_prior,
    show_probability,
    show_span,
    show_strangers,
    show_transition,
)


def print_results(
    results: Sequence[SearchResult],
    meaning: Meaning | None,
    *,
    people: Sequence[Sequence[Person]],
    whys: Sequence[Sequence[Why]],
) -> None:
    """Print the answers as tables, then what the score means."""
    console = Console(markup=False, highlight=False)
    console.width = max(console.width, 110)  # rows stay rows in files and pipes
    for result, persons, reasons in zip(results, people, whys, strict=True):
        _print_result(console, result, meaning)
        _print_people(console, persons)
        _print_whys(console, result, reasons)
    console.print(meaning.note() if meaning else SCORE_NOTE)


def _print_result(console: Console, result: SearchResult, meaning: Meaning | None) -> None:
    row, several = result.query.tracklet, len(result.query.examples)
    camera = f"camera {row.camera}" if row.camera else "camera unknown"
    what = (
        f"{several} tracklets ({result.query.fusion})"
        if several > 1
        else f"{name_of(row.modality)}, {camera}"
    )
    console.print(f"query {result.query.name}: {what}; {result.searched} searched")
    if not result.hits:
        best = "" if result.best is None else f" (the best score is {result.best:.3f})"
        console.print(f"no answer{best}\n")
        return
    if result.prior is not None:
        told = "unknown: no hit reaches the threshold; " if result.unknown else ""
        console.print(f"{told}probabilities at prior {show_prior(result.prior)}")
    if result.order_note:
        console.print(result.order_note)
    judged = any(hit.transition is not None for hit in result.hits)
    table = Table("rank", "tracklet", "set", "camera", "modality", "time", "person", "score", box=None)
    for title in (["same person"] if meaning else []) + (["space and time"] if judged else []):
        table.add_column(title)
    for hit in result.hits:
        table.add_row(
            *_facts(hit), *([_meant(hit)] if meaning else []), *([show_transition(hit)] if judged else [])
        )
    print_table(table, console)
    console.print()


def _facts(hit: Hit) -> list[str]:
    row = hit.entry.tracklet
    rank = f"{hit.rank} confirmed" if hit.confirmed else str(hit.rank)
    when, who = show_span(row) or "-", row.identity or "-"
    facts = [rank, row.name, hit.entry.stored.name, row.camera or "-", name_of(row.modality), when, who]
    return [*facts, f"{hit.score:.3f}"]


def _meant(hit: Hit) -> str:
    below = hit.verdict is not None and hit.verdict.accepted is False
    strangers = show_strangers(hit)
    sure = show_probability(hit) or (f"as {strangers} of strangers" if strangers else "-")
    return f"{sure}{', unknown' if below else ''}"


def _print_people(console: Console, people: Sequence[Person]) -> None:
    for number, person in enumerate(people, start=1):
        count = len(person.sightings)
        sure = (
            f", pairs {person.probability:.2f} on average, {person.weakest:.2f} at least" if count > 1 else ""
        )
        console.print(f"probable person {number}: {count} {'sighting' if count == 1 else 'sightings'}{sure}")
        for sighting in person.sightings:
            row = sighting.query.tracklet
            where = f"camera {row.camera or 'unknown'}, {name_of(row.modality)}"
            came = "" if sighting.transition is None else f" ({sighting.transition.judgement})"
            console.print(f"  {show_span(row) or 'time unknown'}  {where}  {row.name}{came}")
    if people:
        console.print()


def _print_whys(console: Console, result: SearchResult, whys: Sequence[Why]) -> None:
    for hit, why in zip(result.hits, whys, strict=False):
        console.print(f"why {hit.entry.tracklet.name}:")
        if why.joined:
            console.print(f"  {why.joined}")
        for part in why.parts:
            console.print(f"  {part.name:<15} {part.log_odds:+6.2f}  {part.text}")
        if why.parts:
            total = sum(part.log_odds for part in why.parts)
            console.print(f"  {'log-odds':<15} {total:+6.2f}  {show_probability(hit)}")
        for share in why.cosine if len(why.cosine) > 1 else ():
            console.print(f"  {share.name:<15} {share.adds:+6.3f}  {share.text}")
        for pair in why.frames:
            console.print(f"  frames          {pair.score:6.3f}  {pair.asking} and {pair.answering}")
    for text in dict.fromkeys(text for why in whys for text in why.missing):
        console.print(f"not said: {text}")
    if whys:
        console.print()
