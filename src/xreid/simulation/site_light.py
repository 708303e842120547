"""By what light a camera sees at a moment: spectrum, brightness, and the flash when it switches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality
from xreid.simulation.site_config import SiteConfig
from xreid.simulation.site_map import SiteCamera

_STEP_S = 2.0  # the exposure follows the dusk in steps
_FLASH, _FADE_S = 0.9, 0.3  # what a sensor is too bright when its filter moves, and how fast it finds back
LIT = 0.7  # brightness of a lit place at night, as a share of the day's


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a camera sees at one moment.

    Attributes:
        modality: The spectrum.
        level: Light of the scene as a share of the day's, visible only (1 in infrared).
        sunny: Whether the sun casts shadows.
        gain: Factor on the stored picture: above 1 just after a switch.
    """

    modality: Modality
    level: float
    sunny: bool
    gain: float


@lru_cache(maxsize=512)
def switches(config: SiteConfig, camera: SiteCamera, session: str) -> tuple[float, ...]:
    """Seconds of a session at which a camera changes its spectrum, the first time from visible to infrared.

    A camera that switches does so once at dusk; one in three is fooled by a light and goes back for a while.
    """
    if camera.kind != "switching" or session != "dusk":
        return ()
    rng = numpy_generator(config.seed, "site", "switch", camera.name)
    first = float(rng.uniform(0.3, 0.6)) * config.dusk_s
    fooled = rng.random() < 1 / 3
    again = first + float(rng.uniform(0.06, 0.12)) * config.dusk_s
    back = again + float(rng.uniform(0.06, 0.12)) * config.dusk_s
    return (first, again, back) if fooled else (first,)


def look_at(config: SiteConfig, camera: SiteCamera, session: str, seconds: float) -> Look:
    """How the camera sees so many seconds after the session began."""
    times = switches(config, camera, session)
    passed = [time for time in times if time <= seconds + 1e-9]
    infrared = camera.kind == "infrared" or (
        camera.kind == "switching" and (session == "night" or len(passed) % 2 == 1)
    )
    flash = 0.0
    if passed:
        flash = _FLASH * float(np.exp(-(seconds - passed[-1]) / _FADE_S))
    gain = 1 + (flash if flash > 0.01 else 0.0)
    if infrared:
        return Look(modality=Modality.INFRARED, level=1.0, sunny=False, gain=gain)
    return Look(
        modality=Modality.VISIBLE,
        level=_daylight(config, camera, session, seconds),
        sunny=session == "day",
        gain=gain,
    )


def _daylight(config: SiteConfig, camera: SiteCamera, session: str, seconds: float) -> float:
    if session == "day":
        return 1.0
    if session == "night":
        return LIT
    last = LIT if camera.kind == "visible" else 0.45
    first_switch = next(iter(switches(config, camera, session)), float(config.dusk_s))
    share = min(1.0, _STEP_S * np.floor(seconds / _STEP_S) / first_switch)
    return round(float(0.95 + share * (last - 0.95)), 3)
