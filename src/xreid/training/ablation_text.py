"""Tables of an ablation as Markdown, LaTeX (booktabs) and CSV, from its results."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SHOWN = ("Rank-1", "mAP")
Results = Mapping[str, Any]


def score_rows(results: Results) -> Iterator[tuple[str, list[str]]]:
    """Each row's name and its cells: per direction and metric "31.2 [24.1, 38.0]"."""
    for row in results["rows"]:
        cells = [
            _score(row["scores"].get(direction, {}).get(metric)) for direction, metric in columns(results)
        ]
        yield row_name(row, seeds=len(results["seeds"])), cells


def difference_rows(results: Results) -> Iterator[tuple[str, str, list[str]]]:
    """Each row, the row it extends, and cells "+1.2 [-0.3, +2.9]"; "*" where zero is left out.

    Only seeds count that both rows have; where these are not all, the name says so.
    """
    for row in results["rows"]:
        for difference in row["differences"]:
            cells = [signed(difference[direction][metric]) for direction, metric in columns(results)]
            done, asked = len(difference["seeds"]), len(results["seeds"])
            fewer = f" ({done} of {asked} seeds)" if done < asked else ""
            yield row["name"] + fewer, difference["against"], cells


def seed_rows(results: Results) -> Iterator[tuple[str, list[str]]]:
    """Each row's name and, per direction and metric, the score of every seed."""
    for row in results["rows"]:
        found = [row["scores"].get(direction, {}).get(metric) for direction, metric in columns(results)]
        yield (
            row["name"],
            [
                ", ".join(f"{100 * value:.1f}" for value in cell["per_seed"].values()) if cell else "missing"
                for cell in found
            ],
        )


def paper_rows(results: Results) -> Iterator[tuple[str, list[str]]]:
    """Each row's name and the authors' numbers; nothing where the data are not theirs."""
    for row in results["rows"]:
        if row["paper"]:
            values = [row["paper"].get(d, {}).get(m) for d, m in columns(results)]
            yield row["name"], ["" if value is None else f"{value:.1f}" for value in values]


def cost_rows(results: Results) -> Iterator[tuple[str, list[str]]]:
    """Each row's name, parameters in millions, training minutes of a run, frames embedded a second."""
    for row in results["rows"]:
        done = [run for run in row["runs"] if run["done"]]
        if not done:
            continue
        minutes = sum(run["train_seconds"] for run in done) / len(done) / 60
        rate = sum(run["embedded"]["frames"] / max(run["embed_seconds"], 1e-9) for run in done) / len(done)
        yield row["name"], [f"{row['parameters'] / 1e6:.2f}", f"{minutes:.1f}", f"{rate:.0f}"]


COST_HEAD = ("row", "parameters (M)", "training (min a run)", "embedding (frames/s)")


def columns(results: Results) -> list[tuple[str, str]]:
    """The (direction, metric) pairs that tables show."""
    return [(direction, metric) for direction in results["directions"] for metric in SHOWN]


def heads(results: Results) -> list[str]:
    """Their headings."""
    return [f"{direction} {metric}" for direction, metric in columns(results)]


def row_name(row: Mapping[str, Any], *, seeds: int) -> str:
    """Its name, with its label and what is missing of it."""
    name = row["name"] + (f" ({row['label']})" if row["label"] else "")
    missing = len(row["missing_seeds"])
    if missing == seeds:
        return f"{name} (MISSING)"
    return f"{name} ({seeds - missing} of {seeds} seeds)" if missing else name


def facts(results: Results) -> list[str]:
    """How the numbers came about, in sentences."""
    protocol = results["protocol"]
    if protocol is None:
        return ["No run is done yet."]
    seeds = results["seeds"]
    interval = results["intervals"]
    people = {d: c["query identities"] for d, c in results["counts"].items()}
    chance = max(results["chance_rank1"].values())
    return [
        f"Percent, means over {len(seeds)} training seed{'s' if len(seeds) > 1 else ''} "
        f"({', '.join(map(str, seeds))}), scale {results['scale']}; "
        f"{results['source']}, "
        f"{'test split' if results['on'] == 'test' else 'held-out training identities'}, "
        f"protocol {protocol['label']}; {max(people.values())} people asked for, "
        f"Rank-1 of a random order {100 * chance:.1f}%.",
        f"Selection: {results['selection_rule']}.",
        f"In brackets: {interval['confidence']:.0%} intervals, {interval['resamples']:,} draws of training "
        "seeds and people. A difference is paired by seed and query; * where its interval leaves out zero"
        + (
            f" (of {results['comparisons']} differences for each score, none corrected for their number)."
            if results["comparisons"] > 1
            else "."
        ),
    ]


def origin(results: Results) -> str:
    """What a picture of the results must not be without, in one line; "" before the first run is done."""
    if not results["protocol"]:
        return ""
    scored = "test split" if results["on"] == "test" else "held-out training identities"
    seeds = len(results["seeds"])
    runs = f"{seeds} training seeds (hollow: each)" if seeds > 1 else "1 training seed"
    return (
        f"{results['source']}, {scored}, protocol {results['protocol']['label']}, scale {results['scale']}; "
        f"means over {runs}, "
        f"{results['intervals']['confidence']:.0%} intervals over {'seeds and ' if seeds > 1 else ''}people; "
        f"{results['selection_rule'].partition(';')[0]}"
    )


def problems(results: Results) -> list[str]:
    """What is missing and why, seeds of one reason together."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in results["rows"]:
        for run in row["runs"]:
            if not run["done"]:
                found.setdefault((row["name"], run["problem"]), []).append(str(run["seed"]))
    return [
        f"{name}, seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}: {problem}"
        for (name, problem), seeds in found.items()
    ]


def markdown(results: Results) -> str:
    """The whole as Markdown."""
    parts = [f"# {results['title']}", *facts(results), *results["notes"]]
    parts.append(_pipes(["row", *heads(results)], [[n, *c] for n, c in score_rows(results)]))
    differences = [[name, against, *cells] for name, against, cells in difference_rows(results)]
    if differences:
        parts += ["## Differences", _pipes(["row", "minus", *heads(results)], differences)]
    authors = [[name, *cells] for name, cells in paper_rows(results)]
    if authors:
        parts += ["## As the paper prints it", _pipes(["row", *heads(results)], authors)]
    parts += [
        "## Single seeds",
        _pipes(["row", *heads(results)], [[name, *cells] for name, cells in seed_rows(results)]),
    ]
    costs = [[name, *cells] for name, cells in cost_rows(results)]
    if costs:
        parts += ["## Cost, as measured side by side", _pipes(COST_HEAD, costs)]
    if problems(results):
        parts += ["## Missing", "\n".join(f"- {problem}" for problem in problems(results))]
    return "\n\n".join(parts) + "\n"


_TEX_HEAD = (
    r"Needs \usepackage{booktabs}, and the width of two columns (table*); \small where names are long.",
    r"For one column, \newcommand{\xreidinterval}[1]{} in the preamble leaves the intervals out.",
)
_TEX_INTERVAL = r"\providecommand{\xreidinterval}[1]{ {\scriptsize [#1]}}"


def latex(results: Results) -> str:
    """The scores, differences and the authors' numbers as LaTeX tables (package booktabs).

    Intervals are small, as arguments of a command that a document may define otherwise.
    """
    told = [*_TEX_HEAD, *facts(results), *results["notes"]]
    lines = [
        *(f"% {line}" for text in told for line in text.splitlines()),
        _TEX_INTERVAL,
        rf"\begin{{tabular}}{{l{'c' * len(columns(results))}}}",
        r"\toprule",
        *_tex_heads(results),
        r"\midrule",
        *(_tex_line(name, cells) for name, cells in score_rows(results)),
    ]
    differences = list(difference_rows(results))
    if differences:
        lines += [r"\midrule", *(_tex_line(f"{n} - {_bracketed(a)}", c) for n, a, c in differences)]
    authors = list(paper_rows(results))
    if authors:
        lines += [r"\midrule", *(_tex_line(f"{name} (paper)", cells) for name, cells in authors)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _tex_heads(results: Results) -> list[str]:
    """Directions over their metrics."""
    directions, size = results["directions"], len(SHOWN)
    starts = [2 + size * number for number in range(len(directions))]
    return [
        " & ".join(["", *(rf"\multicolumn{{{size}}}{{c}}{{{_tex(d)}}}" for d in directions)]) + r" \\",
        " ".join(rf"\cmidrule(lr){{{start}-{start + size - 1}}}" for start in starts),
        " & ".join(["", *(_tex(metric) for _, metric in columns(results))]) + r" \\",
    ]


CSV_HEAD = (
    *("table", "row", "minus", "direction", "metric", "mean", "low", "high"),
    *("people_low", "people_high", "seed_sd", "seeds", "per_seed", "paper"),
    *("source", "scored_on", "protocol", "selection"),
)


def comma_separated(results: Results) -> str:
    """Every metric of every row and difference, in percent, one a line, with what it was measured on."""
    measured = (
        [results["source"], results["on"], results["protocol"]["label"], results["selection_rule"]]
        if results["protocol"]
        else [""] * 4
    )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEAD)
    for row in results["rows"]:
        for against, found in [("", row["scores"]), *((d["against"], d) for d in row["differences"])]:
            for direction in results["directions"] if found else ():
                for metric in results["metrics"]:
                    value = found[direction][metric]
                    paper = "" if against else row["paper"].get(direction, {}).get(metric, "")
                    place = [results["table"], row["name"], against, direction, metric]
                    writer.writerow([*place, *_csv_values(value), paper, *measured])
        if not row["scores"]:
            writer.writerow([results["table"], row["name"], *[""] * 9, "missing", "", "", *measured])
    return out.getvalue()


def _csv_values(value: Mapping[str, Any]) -> list[str]:
    names = ("mean", "low", "high", "people_low", "people_high", "seed_sd")
    numbers = ["" if value[name] is None else f"{100 * value[name]:.3f}" for name in names]
    seeds = value["per_seed"]
    return [*numbers, " ".join(seeds), " ".join(f"{100 * v:.3f}" for v in seeds.values())]


def _score(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "missing"
    if value["low"] is None:
        return f"{100 * value['mean']:.1f}"
    return f"{100 * value['mean']:.1f} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"


def signed(value: Mapping[str, Any]) -> str:
    """A difference with its interval, and a star where that leaves out zero."""
    if value["low"] is None:
        return f"{100 * value['mean']:+.1f}"
    star = " *" if value["excludes_zero"] else ""
    return f"{100 * value['mean']:+.1f} [{100 * value['low']:+.1f}, {100 * value['high']:+.1f}]{star}"


def _pipes(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *[":---"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _tex_line(name: str, cells: Sequence[str]) -> str:
    line = " & ".join([_tex(name), *map(_tex_cell, cells)]) + r" \\"
    return "{}" + line if line.startswith(("[", "*")) else line  # else an argument of the line before


def _bracketed(name: str) -> str:
    """A name that is taken away from another: "all - (SII + LII)"."""
    return f"({name})" if re.search(r"(?:^|\s)[+=-](?:\s|$)", name) else name


_CELL = re.compile(r"(?P<value>\S+) \[(?P<ends>[^]]+)\](?P<star> \*)?")


def _tex_cell(cell: str) -> str:
    """A number, its interval as a command's argument, and a star that takes no width."""
    found = _CELL.fullmatch(cell)
    if not found:
        return _tex(cell)
    star = r"\rlap{$^{*}$}" if found["star"] else ""
    return rf"{_tex(found['value'])}\xreidinterval{{{_tex(found['ends'])}}}{star}"


_TEX = {
    **{sign: rf"\{sign}" for sign in "&%#_${}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "->": r"$\to$",
    " - ": " $-$ ",
}
_TEX_SIGNS = re.compile(r"->| - |(?<!\w)[+-](?=\d)|[&%#_${}\\~^|<>]")


def _tex(text: str) -> str:
    """Text as LaTeX prints it, with minus and plus signs before numbers in place of hyphens."""
    return _TEX_SIGNS.sub(lambda found: _TEX.get(found[0], f"${found[0]}$"), text)
