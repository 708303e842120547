"""Who walks past which camera, for how many frames: a pure function of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality
from xreid.simulation.config import BUPT_CAMERAS, SimulationConfig

Split = Literal["train", "auxiliary", "test"]
TEST_OFFSET = 500  # HITSZ-VCM numbers its test identities from 501

#: Seconds between stored frames: HITSZ-VCM stores every fifth frame of 25 a second; BUPTCampus stores all
#: frames, of which the simulator takes 12.5 a second so that a short tracklet still holds a gait cycle.
FRAME_STEP_S = {"hitsz-vcm": 0.2, "bupt-campus": 0.08}


@dataclass(frozen=True, kw_only=True)
class PlannedWalk:
    """One walk of one person past one camera place.

    Attributes:
        identity: As written in the archive.
        person: Name of the person's random stream; test people have names of their own.
        split: Training, auxiliary or test.
        camera: As written in the archive.
        modalities: Spectra recorded: one in hitsz-vcm, both at once in bupt-campus.
        frames: Length.
        first_frame: Number of the first frame.
    """

    identity: str
    person: str
    split: Split
    camera: str
    modalities: tuple[Modality, ...]
    frames: int
    first_frame: int

    @property
    def key(self) -> str:
        """Name of the walk's random streams."""
        return f"{self.person}/{self.camera}/{'+'.join(self.modalities)}"


def plan_walks(config: SimulationConfig) -> list[PlannedWalk]:
    """All walks of an archive, in the order of its lists."""
    return _plan_hitsz(config) if config.layout == "hitsz-vcm" else _plan_bupt(config)


def camera_names(config: SimulationConfig) -> list[str]:
    """The camera places as the archive calls them."""
    if config.layout == "bupt-campus":
        return list(BUPT_CAMERAS[: config.cameras])
    return [f"D{i + 1}" for i in range(config.cameras)]


def _plan_hitsz(config: SimulationConfig) -> list[PlannedWalk]:
    people: list[tuple[str, str, Split]] = [
        (f"{i + 1:04d}", f"train-{i}", "train") for i in range(config.train_identities)
    ]
    offset = max(TEST_OFFSET, config.train_identities)
    test = numpy_generator(config.seed, "order").permutation(config.test_identities)
    people += [(f"{offset + int(i) + 1:04d}", f"test-{int(i)}", "test") for i in test]
    walks = []
    for identity, person, split in people:
        rng = numpy_generator(config.seed, "plan", person)
        cameras = _choose_cameras(
            config, rng.permutation(config.cameras).tolist(), config.cameras_per_identity
        )
        for camera in cameras:
            for modality in (Modality.INFRARED, Modality.VISIBLE):
                walks.append(
                    PlannedWalk(
                        identity=identity,
                        person=person,
                        split=split,
                        camera=camera,
                        modalities=(modality,),
                        frames=int(rng.integers(config.shortest_walk, config.longest_walk + 1)),
                        first_frame=1,
                    )
                )
    return walks


def _plan_bupt(config: SimulationConfig) -> list[PlannedWalk]:
    splits: list[tuple[Split, int]] = [
        ("train", config.train_identities),
        ("auxiliary", config.auxiliary_identities),
        ("test", config.test_identities),
    ]
    numbers = numpy_generator(config.seed, "order").permutation(sum(count for _, count in splits)).tolist()
    walks = []
    for split, count in splits:
        for i in range(count):
            person = f"{split}-{i}"
            rng = numpy_generator(config.seed, "plan", person)
            number = 1 if split == "auxiliary" else config.cameras_per_identity
            cameras = _choose_cameras(config, rng.permutation(config.cameras).tolist(), number)
            identity = str(numbers.pop(0) + 1)
            for camera in cameras:
                walks.append(
                    PlannedWalk(
                        identity=identity,
                        person=person,
                        split=split,
                        camera=camera,
                        modalities=(Modality.VISIBLE, Modality.INFRARED),
                        frames=int(rng.integers(config.shortest_walk, config.longest_walk + 1)),
                        first_frame=int(rng.integers(1, 9000)),
                    )
                )
    return walks


def _choose_cameras(config: SimulationConfig, order: list[int], count: int) -> list[str]:
    names = camera_names(config)
    return [names[i] for i in sorted(order[:count])]
