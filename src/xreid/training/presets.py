"""Named runs: a preset is a function that returns a complete configuration, a scale one that resizes it.

Rows of the paper's tables are overrides of these (see docs/training.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from importlib.metadata import EntryPoint, entry_points

from xreid.core.errors import ConfigError
from xreid.data.augment import AugmentConfig
from xreid.losses.config import ObjectiveConfig, PrototypeConfig
from xreid.models.config import FeatureName, NetworkConfig
from xreid.training.config import BatchConfig, LoopConfig, OptimiserConfig, TrainConfig

GROUP = "xreid.presets"


def paper() -> TrainConfig:
    """The letter of the paper where it is printed; where it is silent, what its authors' code does.

    The defaults of every configuration are this preset.
    """
    return TrainConfig(preset="paper")


def official() -> TrainConfig:
    """What the authors' code runs: no LII, no CII, no CMCL; memories rebuilt every epoch.

    It erases each frame apart, by a faulty routine, and does not crop; here a clip is erased as one.
    """
    return TrainConfig(
        preset="official",
        augment=AugmentConfig(pad=0),
        network=NetworkConfig(
            use_lii=False,
            use_cii=False,
            sii_depth=2,
            detach_tokens=True,
            classifiers=("cls", "interaction"),
        ),
        objective=ObjectiveConfig(
            cpc=PrototypeConfig(feature="bn_concat", update="either", momentum=0.1),
            triplet_features=("cls", "proj", "interaction"),
            identity_weight=0.25,
            frame_identity_weight=1.0,
            cmcl_weight=0.0,
        ),
        train=LoopConfig(memory="epoch"),
    )


def best() -> TrainConfig:
    """The paper's, with mirror images at test time, at twice the time of embedding.

    Of fifteen ideas the only one that gained in all scores on held-out people; even its gain may be chance
    (docs/ablations.md).
    """
    return TrainConfig(preset="best", batch=BatchConfig(test_flip=True))


def baseline() -> TrainConfig:
    """The paper's "Baseline": one memory per modality, updated by and held against its own; no MII."""
    return TrainConfig(
        preset="baseline",
        network=NetworkConfig(use_sii=False, use_lii=False, use_cii=False, classifiers=("proj",)),
        objective=ObjectiveConfig(
            cpc=PrototypeConfig(update="own", pairing="own"), triplet_features=("proj",), cmcl_weight=0.0
        ),
    )


def image() -> TrainConfig:
    """The image baseline: frames one by one, then their mean; cross-entropy and triplet, no memory."""
    config = baseline()
    return replace(
        config,
        preset="image",
        network=replace(config.network, method="image-baseline"),
        objective=replace(config.objective, cpc=PrototypeConfig(enabled=False)),
    )


def pcl_clip() -> TrainConfig:
    """PCL-CLIP (Li and Gong, 2023): one centroid per identity, cross-entropy; see methods/pcl_clip.py."""
    return TrainConfig(
        preset="pcl_clip",
        network=_rival("pcl-clip", own_feature=False, classifiers=("cls", "proj")),
        objective=ObjectiveConfig(
            cpc=PrototypeConfig(feature="bn_concat", update="either"), triplet_weight=0.0, cmcl_weight=0.0
        ),
        train=LoopConfig(memory="epoch"),
    )


def tf_clip() -> TrainConfig:
    """TF-CLIP (Yu et al., AAAI 2024): CLIP-Memory, prompts, temporal memories; see methods/tf_clip.py."""
    return TrainConfig(
        preset="tf_clip",
        network=_rival("tf-clip"),
        objective=ObjectiveConfig(cpc=PrototypeConfig(update="none"), cmcl_weight=0.0),
    )


def mitml() -> TrainConfig:
    """MITML (Lin et al., CVPR 2022): adversary of modalities, memory over frames; see methods/mitml.py."""
    return TrainConfig(
        preset="mitml",
        network=_rival("mitml", classifiers=("interaction",)),
        objective=ObjectiveConfig(
            cpc=PrototypeConfig(enabled=False), triplet_features=("interaction",), cmcl_weight=0.0
        ),
    )


def m3_reid() -> TrainConfig:
    """M3-ReID (Liang et al., TIFS 2025): masks in three views, alignment; see methods/m3_reid.py."""
    return TrainConfig(
        preset="m3_reid",
        network=_rival("m3-reid", classifiers=("interaction",)),
        objective=ObjectiveConfig(cpc=PrototypeConfig(enabled=False), triplet_weight=0.0, cmcl_weight=0.0),
    )


def _rival(
    method: str,
    *,
    own_feature: bool = True,
    classifiers: tuple[FeatureName, ...] = ("proj", "interaction"),
) -> NetworkConfig:
    """The same encoder without X-ReID's parts, with those of another method."""
    return NetworkConfig(
        method=method,
        own_feature=own_feature,
        use_sii=False,
        use_lii=False,
        use_cii=False,
        classifiers=classifiers,
    )


def vit_b16(config: TrainConfig) -> TrainConfig:
    """CLIP ViT-B/16 on 288 x 144 frames: the size the presets are written at."""
    return replace(config, scale="vit-b16")


def tiny(config: TrainConfig) -> TrainConfig:
    """Every part at a size that trains from random weights on two CPU cores.

    The schedule is another one: fine-tuning rates (5e-6) and the multipliers of freshly added parts make no
    sense where everything is fresh. More differs, for all presets alike, because nothing is pre-trained
    (measured, docs/log.md): CMCL is averaged over channels, since its sum is ten times all other losses
    together; visible clips turn grey or change hue, clips are zoomed, crops move by 2 pixels at most and
    fewer clips get a hole; batches hold many people of one short clip a modality, so that LII looks one
    frame away and not two, and tracklets are embedded from all their frames; and there is no camera
    embedding, behind which a fresh class token hides the picture for hundreds of steps. bf16 takes less time
    a step on CPUs that have it in hardware. TF-CLIP's memory, which stands still where CLIP has made it, is
    made anew every epoch.
    """
    size, usual = NetworkConfig.tiny(), NetworkConfig()
    smaller = {
        f.name: getattr(size, f.name)
        for f in fields(NetworkConfig)
        if getattr(size, f.name) != getattr(usual, f.name)
    }
    return replace(
        config,
        scale="tiny",
        network=replace(config.network, camera_embedding=False, lii_stride=1, **smaller),
        objective=replace(config.objective, cmcl_reduction="mean"),
        batch=BatchConfig(
            identities=36,
            clips=1,
            frames=2,
            per_epoch=None,
            test_sampling="dense",
            test_flip=config.batch.test_flip,
        ),
        augment=replace(
            config.augment, pad=min(config.augment.pad, 2), zoom=0.12, erase=0.3, grey=0.5, mix=1.0
        ),
        optimiser=OptimiserConfig(
            name="adamw",
            lr=1.5e-3,
            weight_decay=0.02,
            decay_vectors=False,
            bias_multiplier=1.0,
            classifier_multiplier=10.0,
            interaction_multiplier=1.0,
            interaction_classifier_multiplier=10.0,
            warmup_epochs=2.0,
            warmup_lr=1e-5,
            decay="cosine",
            clip_norm=5.0,
        ),
        train=replace(
            config.train,
            epochs=50,
            precision="bf16",
            memory="epoch" if config.network.method == "tf-clip" else config.train.memory,
        ),
    )


PRESETS: dict[str, Callable[[], TrainConfig]] = {
    f.__name__: f for f in (paper, best, official, baseline, image, pcl_clip, tf_clip, mitml, m3_reid)
}
SCALES: dict[str, Callable[[TrainConfig], TrainConfig]] = {"vit-b16": vit_b16, "tiny": tiny}


def preset_named(preset: str, *, scale: str) -> TrainConfig:
    """The configuration of that preset at that scale.

    A package of one's own adds presets by entry points of the group "xreid.presets", each naming a function
    without arguments that returns a TrainConfig; see docs/extending.md.

    Raises:
        ConfigError: There is no such preset or scale, or the package that offers it cannot be used.
    """
    elsewhere = {entry.name: entry for entry in entry_points(group=GROUP)}
    if preset not in PRESETS and preset not in elsewhere:
        raise ConfigError(f"unknown preset {preset!r}", expected=", ".join([*PRESETS, *elsewhere]))
    if scale not in SCALES:
        raise ConfigError(f"unknown scale {scale!r}", expected=", ".join(SCALES))
    config = PRESETS[preset]() if preset in PRESETS else _from_elsewhere(elsewhere[preset])
    return SCALES[scale](config)


def _from_elsewhere(entry: EntryPoint) -> TrainConfig:
    try:
        config = entry.load()()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"preset {entry.name} of {entry.value} cannot be loaded: {error}") from error
    if not isinstance(config, TrainConfig):
        raise ConfigError(
            f"{entry.value} gives no preset", expected="a TrainConfig", got=type(config).__name__
        )
    return replace(config, preset=entry.name)
