"""The figure of an ablation: every row's score with its interval, and the single seeds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xreid.core.files import atomic_file
from xreid.training.ablation_text import SHOWN, Results, origin, row_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind people can tell apart; marks differ too
_STYLES: Mapping[str, tuple[str, str]] = {"Rank-1": ("#0072B2", "o"), "mAP": ("#D55E00", "s")}
_INK, _QUIET, _LINE = "#1b2330", "#5b6675", "#d5dae2"


def write_figure(results: Results, folder: Path) -> None:
    """Write figure.png and figure.svg.

    Raises:
        XReidError: The folder cannot be written.
    """
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "xreid", "font.size": 10}):
        figure = draw(results)
        for suffix, metadata in ((".png", {}), (".svg", {"Date": None})):
            with atomic_file(folder / f"figure{suffix}") as temporary:
                figure.savefig(temporary, dpi=160, metadata=metadata, facecolor="white")


def draw(results: Results) -> Figure:
    """One panel per direction; rows downwards, or along the axis that the table names."""
    from matplotlib.figure import Figure

    curves = bool(results["axis"]) and all(row["x"] is not None for row in results["rows"])
    directions, count = results["directions"], len(results["rows"])
    height = 3.7 if curves else 1.8 + 0.48 * count
    figure = Figure(figsize=(4.6 * len(directions), height), layout="constrained")
    panels = figure.subplots(1, len(directions), squeeze=False, sharey=True, sharex=True)[0]
    for panel, direction in zip(panels, directions, strict=True):
        _style(panel)
        (_curve if curves else _rows)(panel, results, direction)
        panel.set_title(_direction(direction), loc="left", fontsize=10.5, color=_INK)
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False)
    told = textwrap.fill(origin(results), 82 * len(directions))
    figure.supxlabel(told, x=0.01, ha="left", fontsize=8, color=_QUIET)
    figure.suptitle(results["title"], x=0.01, ha="left", fontsize=12, color=_INK)
    return figure


def _direction(name: str) -> str:
    words = {"I2V": "I2V: infrared query, visible gallery", "V2I": "V2I: visible query, infrared gallery"}
    return words.get(name, name)


def _style(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(_LINE)
    panel.tick_params(colors=_INK, length=0)
    panel.grid(color=_LINE, linewidth=0.7)
    panel.set_axisbelow(True)


def _curve(panel: Axes, results: Results, direction: str) -> None:
    rows = [row for row in results["rows"] if row["scores"]]
    for n, metric in enumerate(SHOWN):
        colour, mark = _STYLES[metric]
        offset = 0.06 * (n - 0.5)
        xs = [row["x"] + offset for row in rows]
        values = [row["scores"][direction][metric] for row in rows]
        means = [100 * v["mean"] for v in values]
        panel.plot(xs, means, color=colour, marker=mark, markersize=6, linewidth=1.8, label=metric)
        for x, value in zip(xs, values, strict=True):
            _seeds(panel, [x] * len(value["per_seed"]), _percents(value), colour, mark)
            if value["low"] is not None:
                ends = [100 * value["low"], 100 * value["high"]]
                panel.plot([x, x], ends, color=colour, linewidth=1.3, alpha=0.75)
    panel.set_xticks([row["x"] for row in results["rows"]])
    panel.set_xlabel(results["axis"], color=_INK)
    panel.set_ylabel("percent" if direction == results["directions"][0] else "", color=_INK)


def _rows(panel: Axes, results: Results, direction: str) -> None:
    rows = results["rows"]
    for n, metric in enumerate(SHOWN):
        colour, mark = _STYLES[metric]
        label: str | None = metric
        for place, row in enumerate(rows):
            value = row["scores"].get(direction, {}).get(metric)
            if value is None:
                continue
            y = place + 0.22 * (n - 0.5) * 2
            if value["low"] is not None:
                ends = [100 * value["low"], 100 * value["high"]]
                panel.plot(ends, [y, y], color=colour, linewidth=1.8, alpha=0.75)
            _seeds(panel, _percents(value), [y] * len(value["per_seed"]), colour, mark)
            mean = 100 * value["mean"]
            panel.plot([mean], [y], color=colour, marker=mark, markersize=7, linestyle="", label=label)
            placed: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 8}
            panel.annotate(f"{mean:.1f}", (mean, y), (0, 5), color=colour, **placed)
            label = None
    panel.set_yticks(range(len(rows)), [row_name(row, seeds=len(results["seeds"])) for row in rows])
    panel.set_ylim(len(rows) - 0.4, -0.7)
    panel.set_xlabel("percent", color=_INK)


def _percents(value: Mapping[str, Any]) -> list[float]:
    return [100 * v for v in value["per_seed"].values()]


def _seeds(panel: Axes, xs: Sequence[float], ys: Sequence[float], colour: str, mark: str) -> None:
    """Single seeds as small hollow marks."""
    if len(xs) > 1:
        panel.plot(
            xs, ys, linestyle="", marker=mark, markersize=3.8, color=colour, markerfacecolor="white", zorder=3
        )
