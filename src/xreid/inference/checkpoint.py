"""A trained model as a folder: model.safetensors and config.json. Nothing in it can run.

config.json holds the format number, the network's configuration, the preprocessing, the identities behind
the classifiers, the licence of the training data, and where the weights came from. README.md is the model
card; calibration.json is there once `xreid calibrate` has written it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from xreid.core.embeddings import EmbeddingOrigin
from xreid.core.errors import CheckpointError, ConfigError
from xreid.core.files import atomic_folder, read_json, sha256_of_file, sha256_of_value
from xreid.core.records import differing, from_plain, require_format, to_plain
from xreid.data.clips import IMAGENET_MEAN, IMAGENET_STD
from xreid.evaluation.calibration import FILE as CALIBRATION
from xreid.evaluation.calibration import Calibration, read_calibration
from xreid.inference.model_card import CARD, model_card
from xreid.inference.tensors import load_into, read_tensors, write_tensors
from xreid.methods.registry import build_network
from xreid.models.config import NetworkConfig
from xreid.models.network import TrackletNetwork

FORMAT = 1
WEIGHTS, CONFIG, MODEL_IN_RUN = "model.safetensors", "config.json", "checkpoint"

TestSampling = Literal["chunk-first", "linspace", "dense"]
SamplingChoice = Literal["auto", TestSampling]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How frames become the network's input; the frame size is the network's.

    Attributes:
        mean: Channel means of the normalisation, 0..1.
        std: Channel standard deviations.
        frames: Frames of a clip at test time, T.
        sampling: Which frames, unless asked otherwise.
        flip: Whether a clip's feature is the mean of its own and its mirror image's, unless asked otherwise.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    frames: int = 10
    sampling: TestSampling = "chunk-first"
    flip: bool = False


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything about a model but its weights.

    Attributes:
        network: Its configuration, with the training identities counted and the training cameras named.
        preprocessing: How frames become input.
        identities: Training identities; label i of every classifier is entry i.
        source: Name of the training data.
        licence: Terms that came with the training data.
        provenance: Versions, seed, commit, preset, data, epoch, how the epoch was chosen, metrics.
    """

    network: NetworkConfig
    preprocessing: Preprocessing = Preprocessing()
    identities: tuple[str, ...] = ()
    source: str = "unknown"
    licence: str = "unspecified"
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """SHA-256 of what differs from the defaults in the network's configuration and the preprocessing.

        So a setting that xreid gains later changes no hash, and vectors made before and after go together.
        """
        network = differing(to_plain(self.network), to_plain(NetworkConfig()))
        preprocessing = differing(to_plain(self.preprocessing), to_plain(Preprocessing()))
        return sha256_of_value({"network": network, "preprocessing": preprocessing})


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model ready to embed.

    Attributes:
        network: In evaluation mode, on its device.
        checkpoint: What is known about it.
        sha256: Of the weights' file.
        device: Where the network lies.
        calibration: What scores of its embeddings mean; None where nobody has calibrated it.
    """

    network: TrackletNetwork
    checkpoint: Checkpoint
    sha256: str
    device: torch.device
    calibration: Calibration | None = None

    def origin(self, *, preprocessing: dict[str, Any], source: str) -> EmbeddingOrigin:
        """What embeddings made with this preprocessing, of this data, are stamped with."""
        return EmbeddingOrigin(
            checkpoint=self.sha256,
            config=self.checkpoint.hash,
            layout=self.network.layout,
            preprocessing=preprocessing,
            source=source,
            licence=self.checkpoint.licence,
        )


def save_checkpoint(folder: Path, network: TrackletNetwork, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder, whole or not at all.

    Raises:
        XReidError: The folder cannot be written.
    """
    with atomic_folder(folder) as temporary:
        write_tensors(temporary / WEIGHTS, network.state_dict())
        plain = {
            "format": FORMAT,
            "weights_sha256": sha256_of_file(temporary / WEIGHTS),
            "layout": network.layout,
            **to_plain(checkpoint),
        }
        text = json.dumps(plain, indent=2, allow_nan=False) + "\n"
        (temporary / CONFIG).write_text(text, encoding="utf-8")
        card = model_card(checkpoint, layout=network.layout, sha256=plain["weights_sha256"])
        (temporary / CARD).write_text(card, encoding="utf-8")


def load_checkpoint(folder: Path, device: torch.device | str = "cpu") -> LoadedModel:
    """Read a checkpoint folder, or the model of a finished run.

    Raises:
        CheckpointError: It is missing, damaged, of a newer format, or of another shape than it says.
        DataError: Its calibration is damaged.
    """
    folder, checkpoint, expected_hash = describe_checkpoint(folder)
    weights = folder / WEIGHTS
    require_weights(folder, expected_hash)
    network = build_network(replace(checkpoint.network, weights=None))
    load_into(network, read_tensors(weights, what="weights"), what=str(weights))
    target = torch.device(device)
    return LoadedModel(
        network=network.to(target).eval(),
        checkpoint=checkpoint,
        sha256=expected_hash,
        device=target,
        calibration=_calibration(folder, sha256=expected_hash),
    )


def require_weights(folder: Path, expected_hash: str) -> None:
    """Refuse a checkpoint whose weights are not those that it names.

    Raises:
        CheckpointError: They are missing, or have another SHA-256.
    """
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise CheckpointError(f"{weights} is missing", todo="Copy the whole checkpoint folder.")
    found = sha256_of_file(weights)
    if found != expected_hash:
        raise CheckpointError(
            f"{weights} is damaged or was exchanged",
            expected=f"SHA-256 {expected_hash[:12]}...",
            got=f"{found[:12]}...",
            todo="Copy the checkpoint folder again.",
        )


def describe_checkpoint(folder: Path) -> tuple[Path, Checkpoint, str]:
    """Where the checkpoint of a folder or finished run lies, what it says, and its weights' SHA-256.

    Raises:
        CheckpointError: It is missing, damaged or of a newer format.
    """
    folder = _locate(folder)
    meta = read_json(folder / CONFIG, what="checkpoint")
    return folder, *_parse(meta, folder / CONFIG)


def _calibration(folder: Path, *, sha256: str) -> Calibration | None:
    if not (folder / CALIBRATION).is_file():
        return None
    found = read_calibration(folder / CALIBRATION)
    if found.origin.checkpoint != sha256:
        raise CheckpointError(
            f"{folder / CALIBRATION} was made for other weights",
            expected=f"SHA-256 {sha256[:12]}...",
            got=f"{found.origin.checkpoint[:12]}...",
            todo="Remove it, or run `xreid calibrate` with embeddings of this checkpoint.",
        )
    return found


def _locate(folder: Path) -> Path:
    if (folder / CONFIG).is_file():
        return folder
    if (folder / MODEL_IN_RUN / CONFIG).is_file():
        return folder / MODEL_IN_RUN
    if not folder.exists():
        raise CheckpointError(
            f"there is no checkpoint at {folder}", todo="Check the path; see `xreid train`."
        )
    unfinished = (folder / "run.json").is_file()
    raise CheckpointError(
        f"{folder} is {'a run that is not finished' if unfinished else 'no checkpoint'}",
        expected=f"a folder with {CONFIG} and {WEIGHTS}, or a finished run",
        todo="Restart `xreid train` with the same options to complete it." if unfinished else "",
    )


def _parse(meta: Any, path: Path) -> tuple[Checkpoint, str]:
    if not isinstance(meta, dict):
        raise CheckpointError(f"checkpoint {path} is damaged", expected="a JSON object")
    try:
        require_format(meta.get("format"), supported=FORMAT, what=f"checkpoint {path}")
        checkpoint = Checkpoint(
            network=from_plain(NetworkConfig, meta["network"], what=f"network of {path}"),
            preprocessing=from_plain(Preprocessing, meta["preprocessing"], what=f"preprocessing of {path}"),
            identities=tuple(meta["identities"]),
            source=meta["source"],
            licence=meta["licence"],
            provenance=meta["provenance"],
        )
        return checkpoint, str(meta["weights_sha256"])
    except KeyError as error:
        raise CheckpointError(f"checkpoint {path} lacks {error}", todo="Copy it again.") from error
    except ConfigError as error:
        raise CheckpointError(error.what, expected=error.expected, got=error.got, todo=error.todo) from error


def selection_rule(selection: Mapping[str, Any]) -> str:
    """How the epoch was chosen, in a sentence."""
    if not selection:
        return "not recorded"
    which = f"epoch {selection['epoch']} of {selection['of_epochs']}"
    people = selection["held_out_identities"]
    if selection["keep"] == "best":
        return f"{which}, the best mAP (mean of I2V and V2I) on {people:,} held-out training people"
    held = f"{people:,} training people were held out, and watched only" if people else "nothing was held out"
    return f"{which}, fixed beforehand; {held}"
