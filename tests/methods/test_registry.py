"""Methods by name: what is found, what is refused, and a method from another package."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import torch

from xreid.core.errors import ConfigError
from xreid.losses.config import ObjectiveConfig, PrototypeConfig
from xreid.losses.x_reid import XReIDObjective
from xreid.methods import registry
from xreid.methods.registry import (
    Method,
    build_network,
    build_objective,
    method_named,
    method_names,
    options_of,
)
from xreid.models.config import NetworkConfig
from xreid.models.network import Interaction, TrackletNetwork
from xreid.models.x_reid import XReID

SMALL = NetworkConfig(
    num_identities=3, frame_size=(32, 16), patch=8, width=16, depth=1, heads=2, projection=8,
    interaction_heads=2, weights=None, freeze_patch_projection=False, activation="gelu",
)  # fmt: skip
IMAGE = replace(
    SMALL, method="image-baseline", use_sii=False, use_lii=False, use_cii=False, classifiers=("proj",)
)


def test_every_method_file_is_a_method() -> None:
    assert {"x-reid", "image-baseline", "pcl-clip", "tf-clip", "mitml", "m3-reid"} == set(method_names())
    for name in method_names():
        method = method_named(name)
        assert method.title
        assert method.reference


def test_x_reid_has_its_own_network_and_objective() -> None:
    assert type(build_network(SMALL)) is XReID
    assert type(build_objective(ObjectiveConfig(), network=SMALL)) is XReIDObjective


def test_the_image_baseline_makes_no_feature_of_its_own() -> None:
    network = build_network(IMAGE)
    output = network(torch.zeros(2, 3, 3, 32, 16))
    assert type(network) is TrackletNetwork
    assert output.interaction is None
    assert network.layout == (("bn_cls", 16), ("bn_proj", 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "x-read"}, "unknown method 'x-read'.*Did you mean x-reid"),
        ({"method_options": {"slots": 3}}, "method x-reid has no option slots; expected none"),
        ({"method": "image-baseline"}, "method image-baseline makes no feature of its own"),
        (
            {"method": "mitml", "use_sii": False, "use_lii": False},
            "mitml makes a feature.*own_feature to true",
        ),
        ({"method": "quite-another"}, "Install the package"),
    ],
)
def test_unknown_methods_and_options_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_network(replace(SMALL, **changes))


@dataclass(frozen=True, kw_only=True)
class _LastFrameOptions:
    scale: float = 1.0


class _LastFrame(TrackletNetwork):
    def build_parts(self, config: NetworkConfig) -> None:
        self.scale = options_of(config, _LastFrameOptions).scale

    def interact(self, cls: torch.Tensor, patches: torch.Tensor) -> Interaction:
        return Interaction(sequence=cls[:, -1] * self.scale)


@pytest.fixture
def last_frame(monkeypatch: pytest.MonkeyPatch) -> NetworkConfig:
    """A method of another package, found by its entry point."""
    module = types.ModuleType("elsewhere")
    module.METHOD = Method(  # type: ignore[attr-defined]
        title="Last frame", reference="nobody, 2026", network=_LastFrame, options=_LastFrameOptions
    )
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    found = EntryPoint(name="last-frame", value="elsewhere", group=registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [found])
    return replace(
        IMAGE,
        method="last-frame",
        own_feature=True,
        method_options={"scale": 2.0},
        classifiers=("interaction",),
    )


def test_a_method_of_another_package_trains_and_embeds(last_frame: NetworkConfig) -> None:
    network = build_network(last_frame)
    clips = torch.randn(6, 2, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    output = network(clips)
    torch.testing.assert_close(output.interaction, 2 * output.frames_cls[:, -1])
    config = ObjectiveConfig(cpc=PrototypeConfig(enabled=False), triplet_features=("interaction",))
    labels, modalities = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 1] * 3)
    terms = build_objective(config, network=last_frame)(output, labels, modalities, network)
    assert set(terms.terms) == {"triplet_interaction", "identity_interaction"}
    assert network.embed(clips).shape == (6, 16 + 8 + 16)


def test_options_of_the_wrong_type_are_refused(last_frame: NetworkConfig) -> None:
    with pytest.raises(ConfigError, match="options of method last-frame"):
        build_network(replace(last_frame, method_options={"scale": "much"}))


def test_a_module_without_a_method_is_refused(
    last_frame: NetworkConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(sys.modules["elsewhere"], "METHOD")
    with pytest.raises(ConfigError, match="module elsewhere defines no METHOD"):
        method_named("last-frame")


def test_a_module_that_cannot_be_imported_is_refused(
    last_frame: NetworkConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "elsewhere", None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="method last-frame of module elsewhere cannot be loaded"):
        method_named("last-frame")
