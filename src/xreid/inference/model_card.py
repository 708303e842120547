"""The model card of a checkpoint: README.md with the hub's metadata, from what the checkpoint knows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xreid
from xreid.core.errors import DataError
from xreid.core.files import atomic_file, read_json
from xreid.data.names import SIMULATION_LICENCE
from xreid.evaluation.calibration import FILE as CALIBRATION
from xreid.evaluation.calibration import Calibration, read_calibration

if TYPE_CHECKING:
    from xreid.inference.checkpoint import Checkpoint

CARD = "README.md"
Layout = Sequence[tuple[str, int]]

_NEVER = """\
## What it must not be used for
This finds people. Do not use it to track people without a legal basis, to decide about a person without a
human who looks at the frames, to watch people who cannot refuse, or as proof of identity: a score is a
similarity, not a probability, and the first answer is the most similar tracklet that is there, also when the
person is not. Whether errors fall harder on some people than on others has not been measured. The longer form
is docs/limits.md of xreid.
"""


def write_model_card(folder: Path | str, *, evaluation: Path | str | None = None) -> Path:
    """Write README.md into a checkpoint's folder (or that of a finished run), over the one that is there.

    Args:
        folder: The checkpoint.
        evaluation: What `xreid evaluate --out` wrote of this checkpoint's embeddings, folder or
            evaluation.json, for the scores.

    Returns:
        The file.

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
        DataError: The evaluation is missing, damaged, or of another model.
        XReidError: The file cannot be written.
    """
    from xreid.inference.checkpoint import CONFIG, describe_checkpoint

    place, checkpoint, sha256 = describe_checkpoint(Path(folder))
    layout = read_json(place / CONFIG, what="checkpoint").get("layout", [])
    results = [] if evaluation is None else _results(Path(evaluation), sha256=sha256)
    calibration = read_calibration(place / CALIBRATION) if (place / CALIBRATION).is_file() else None
    text = model_card(checkpoint, layout=layout, sha256=sha256, results=results, calibration=calibration)
    with atomic_file(place / CARD) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return place / CARD


def model_card(
    checkpoint: Checkpoint,
    *,
    layout: Layout,
    sha256: str,
    results: Sequence[Mapping[str, Any]] = (),
    calibration: Calibration | None = None,
) -> str:
    """The card's text.

    Args:
        checkpoint: All but the weights.
        layout: Parts of an embedding.
        sha256: Of the weights' file.
        results: Summaries of evaluations, as evaluation.json holds them.
        calibration: What scores mean, where somebody calibrated it.
    """
    import yaml

    head = yaml.safe_dump(_metadata(checkpoint, results), sort_keys=False, allow_unicode=True, width=100)
    sections = [
        _summary(checkpoint, layout),
        _use(),
        _NEVER,
        _data(checkpoint),
        _scores(checkpoint, results),
        *([] if calibration is None else [_calibrated(calibration)]),
        _training(checkpoint, sha256),
        _licence(checkpoint),
    ]
    return f"---\n{head}---\n" + "\n".join(sections)


def _calibrated(calibration: Calibration) -> str:
    lines = [
        "## Calibration",
        "calibration.json turns a cosine into a probability that both tracklets show one person, at a prior "
        f"of your choice. Fitted on {len(calibration.identities):,} people of {calibration.source}, who were "
        "not in training; it holds for people and cameras like those.\n",
        "| pairs | threshold | false accepts there | of one person accepted |",
        "|---|---|---|---|",
    ]
    for name, kind in calibration.kinds.items():
        cut = kind.threshold
        told = ("-", "-") if cut.score is None or cut.tar is None else (f"{cut.score:.3f}", f"{cut.tar:.1%}")
        lines.append(f"| {name} | {told[0]} | {cut.far:.2%} | {told[1]} |")
    return "\n".join(lines) + "\n"


def _metadata(checkpoint: Checkpoint, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The hub's fields; names of licences and data sets are free text there only under "other"."""
    tags = ["person-re-identification", "visible-infrared", "cross-modality", "video", "image-retrieval"]
    tags.append("synthetic" if _is_simulated(checkpoint) else checkpoint.source)
    metadata: dict[str, Any] = {
        "library_name": "xreid",
        "license": "other",
        "license_name": _slug(checkpoint.licence),
        "pipeline_tag": "image-feature-extraction",
        "tags": [*tags, checkpoint.network.method],
        "metrics": ["Rank-1", "mAP"],
    }
    if results:
        metadata["model-index"] = [
            {"name": _title(checkpoint), "results": [_hub_result(checkpoint, one) for one in results]}
        ]
    return metadata


def _hub_result(checkpoint: Checkpoint, result: Mapping[str, Any]) -> dict[str, Any]:
    label, direction = _protocol(result), result["direction"]
    return {
        "task": {"type": "image-retrieval", "name": "Visible-infrared video person re-identification"},
        "dataset": {"type": _slug(result["origin"]["source"]), "name": result["origin"]["source"]},
        "metrics": [
            {
                "type": name,
                "name": f"{name}, {direction}, {label}",
                "value": round(100 * result["metrics"][name]["value"], 2),
            }
            for name in ("Rank-1", "mAP")
        ],
    }


def _title(checkpoint: Checkpoint) -> str:
    where = "simulated people" if _is_simulated(checkpoint) else checkpoint.source
    return f"{checkpoint.network.method} on {where}"


def _is_simulated(checkpoint: Checkpoint) -> bool:
    return checkpoint.licence == SIMULATION_LICENCE


def _summary(checkpoint: Checkpoint, layout: Layout) -> str:
    network, preprocessing = checkpoint.network, checkpoint.preprocessing
    height, width = network.frame_size
    parts = ", ".join(f"{name} {size}" for name, size in layout)
    text = (
        f"# {_title(checkpoint)}\n"
        "Embeds short videos of people (tracklets) from visible and infrared cameras into one space, to find "
        "the same person across both. Made with xreid "
        f"{checkpoint.provenance.get('versions', {}).get('xreid', xreid.__version__)}.\n\n"
        f"- Input: frames of {height} x {width} pixels, {preprocessing.frames} of a clip, chosen by "
        f'"{preprocessing.sampling}"{", each with its mirror image" if preprocessing.flip else ""}.\n'
        f"- Output: {sum(size for _, size in layout)} numbers of unit length ({parts}); cosines rank.\n"
        f"- Network: method {network.method}, {network.depth} blocks of width {network.width}, patch "
        f"{network.patch}, encoder weights from "
        f"{Path(network.weights).name if network.weights else 'random numbers'}.\n"
    )
    if _is_simulated(checkpoint):
        text += (
            "\n**It has only seen people drawn by a simulator. It says nothing about real cameras and is of "
            "no use on them.**\n"
        )
    return text


def _use() -> str:
    return (
        "## Use\n"
        "```python\n"
        "import xreid\n\n"
        'model = xreid.from_pretrained("OWNER/NAME")  # or the folder that this file lies in\n'
        "```\n"
        "`xreid embed FOLDER ARCHIVE OUT` embeds an archive, `xreid search` finds people in what was "
        "embedded. Meant for research on visible-infrared person re-identification, and for searching one's "
        "own recordings on a legal basis, with a human who looks at the frames.\n"
    )


def _data(checkpoint: Checkpoint) -> str:
    data = checkpoint.provenance.get("data", {})
    source = checkpoint.source + (" layout, people drawn by a simulator" if _is_simulated(checkpoint) else "")
    lines = [f"- Source: {source}", f"- Terms: {checkpoint.licence}"]
    for key, name in (("identities", "People"), ("tracklets", "Tracklets"), ("sha256", "Hash of their list")):
        if key in data:
            lines.append(f"- {name}: {data[key]}")
    if checkpoint.network.cameras:
        lines.append(f"- Cameras: {len(checkpoint.network.cameras)}")
    return "## Training data\n" + "\n".join(lines) + "\n"


def _scores(checkpoint: Checkpoint, results: Sequence[Mapping[str, Any]]) -> str:
    lines = ["## Scores"]
    if results:
        lines += ["| data | protocol | direction | queries | Rank-1 | mAP |", "|---|---|---|---|---|---|"]
        for one in results:
            cells = [_estimate(one["metrics"][name]) for name in ("Rank-1", "mAP")]
            lines.append(
                f"| {one['origin']['source']} | {_protocol(one)} | {one['direction']} | "
                f"{one['counts']['valid queries']} | {cells[0]} | {cells[1]} |"
            )
        lines.append("\nPercent, with bootstrap intervals over the people who were searched for.")
    known = checkpoint.provenance.get("selection", {})
    held_out = known.get("held_out_scores") or {}
    if held_out:
        count = known.get("held_out_identities")
        shown = ", ".join(f"{name} {100 * value:.1f}%" for name, value in held_out.items())
        chose = " (they chose the epoch, which flatters)" if known.get("keep") == "best" else ""
        lines.append(f"\nOn {count} people of the training set who were held out{chose}: {shown}.")
    if len(lines) == 1:
        lines.append(
            "None are recorded here. `xreid.write_model_card(FOLDER, evaluation=...)` adds those of "
            "`xreid evaluate`."
        )
    return "\n".join(lines) + "\n"


def _training(checkpoint: Checkpoint, sha256: str) -> str:
    known = checkpoint.provenance
    selection, versions = known.get("selection", {}), known.get("versions", {})
    lines = [
        f"- {name}: {known[key]}"
        for key, name in (("preset", "Preset"), ("scale", "Scale"), ("seed", "Seed"), ("commit", "Commit"))
        if known.get(key) is not None
    ]
    if selection:
        epoch, epochs = selection.get("epoch"), selection.get("of_epochs")
        lines.append(f"- Epoch: {epoch} of {epochs}, kept: {selection.get('keep')}")
    if known.get("config_sha256"):
        lines.append(f"- Hash of the configuration: {known['config_sha256']}")
    if versions:
        lines.append("- Versions: " + ", ".join(f"{name} {value}" for name, value in versions.items()))
    lines.append(f"- SHA-256 of the weights: {sha256}")
    return "## Training\n" + "\n".join(lines) + "\n\nThe whole configuration is in config.json.\n"


def _licence(checkpoint: Checkpoint) -> str:
    text = f"## Licence\n{checkpoint.licence}\n"
    if not _is_simulated(checkpoint):
        text += (
            "\nThese terms came with the training data; a model trained on them is bound by them. Publishing "
            "this file, or embeddings made with it, needs the consent of whoever set them.\n"
        )
    return text


def _results(path: Path, *, sha256: str) -> list[dict[str, Any]]:
    file = path / "evaluation.json" if path.is_dir() else path
    found = read_json(file, what="evaluation")
    try:
        results = list(found["results"])
        other = [one for one in results if one["origin"]["checkpoint"] != sha256]
        for one in results:
            _hub_result_fields(one)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file} is no evaluation as xreid writes it", got=str(error), todo="Run `xreid evaluate` again."
        ) from error
    if other:
        raise DataError(
            f"{file} is of another model",
            expected=f"checkpoint {sha256[:12]}...",
            got=f"{other[0]['origin']['checkpoint'][:12]}...",
        )
    return results


def _hub_result_fields(result: Mapping[str, Any]) -> None:
    """Touch every field that the card uses, so that one that is missing is met before anything is written."""
    _protocol(result), result["direction"], result["counts"]["valid queries"], result["origin"]["source"]
    for name in ("Rank-1", "mAP"):
        if not math.isfinite(result["metrics"][name]["value"]):
            raise ValueError(f"{name} is not finite")
        _estimate(result["metrics"][name])


def _protocol(result: Mapping[str, Any]) -> str:
    protocol = result["protocol"]
    return f"{protocol['name']} v{protocol['version']} [{protocol['hash']}]"


def _estimate(estimate: Mapping[str, Any]) -> str:
    low, high = estimate["low"], estimate["high"]
    span = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * estimate['value']:.1f}{span}"


def _slug(text: str) -> str:
    """Lower case, with one hyphen for whatever is no letter or digit."""
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return "-".join(words) or "unspecified"
