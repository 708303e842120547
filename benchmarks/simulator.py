"""Frames a second of the simulator, on one process and on several, and where the time of a frame goes.

python benchmarks/simulator.py                  # about two minutes on 2 cores
python benchmarks/simulator.py --people 40 --workers 1 2 4
"""

from __future__ import annotations

import argparse
import cProfile
import os
import platform
import pstats
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2

from xreid.simulation import studio
from xreid.simulation.config import SimulationConfig
from xreid.simulation.generate import simulate
from xreid.simulation.plan import plan_walks
from xreid.simulation.studio import shoot_encoded

STAGES = {  # stage: functions (file, name) whose cumulative time it is
    "draw figures (raster)": (("raster.py", "draw"), ("raster.py", "crevices"), ("raster.py", "look_up")),
    "shadows": (("render.py", "cast_shadow"),),
    "background": (("render.py", "_background"),),
    "sensor": (("sensor.py", "expose"),),
    "JPEG": (("sensor.py", "encode"),),
    "pose and project, once a walk": (("walk.py", "place"), ("render.py", "view_of")),
    "people, once each": (("studio.py", "cast_person"),),
    "scenes, once a camera": (("scene.py", "paint_scene"),),
}


def rate(config: SimulationConfig, workers: int) -> float:
    """Frames a second of a whole archive, start of the processes included."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        summary = simulate(config, Path(folder) / "archive", workers=workers)
        return summary.frames / (time.perf_counter() - start)


def stages(config: SimulationConfig, walks: int) -> tuple[float, dict[str, float]]:
    """Milliseconds a frame in one process, in all and by stage (under the profiler, so only shares count)."""
    cv2.setNumThreads(1)
    studio.cast_person.cache_clear()
    studio._set_up.cache_clear()
    plan = plan_walks(config)[:walks]
    profile = cProfile.Profile()
    start = time.perf_counter()
    profile.enable()
    for walk in plan:
        shoot_encoded(config, walk)
    profile.disable()
    seconds = time.perf_counter() - start
    frames = sum(walk.frames for walk in plan)
    spent: dict[tuple[str, str], float] = {}
    for (file, _, name), row in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        spent[Path(file).name, name] = spent.get((Path(file).name, name), 0.0) + row[3]
    shares = {stage: sum(spent.get(key, 0.0) for key in keys) / seconds for stage, keys in STAGES.items()}
    return 1000 * seconds / frames, shares


def main() -> None:
    """Print frames a second by number of workers, and the share of each stage in percent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=60, help="identities to simulate")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    base = SimulationConfig()
    config = replace(base, train_identities=max(1, options.people - 10), test_identities=10)
    frames = sum(walk.frames for walk in plan_walks(config))
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, {platform.machine()}, OpenCV {cv2.__version__}; load before {load:.1f}")
    print(
        f"{options.people} people, {frames} frames of {config.frame_height} pixels height, JPEG files on disk"
    )
    for workers in options.workers:
        best = max(rate(config, workers) for _ in range(options.repeats))
        print(f"{workers} process(es)  {best:6.0f} frames/s (best of {options.repeats})")
    _, shares = stages(config, 60)
    for stage, share in sorted(shares.items(), key=lambda item: -item[1]):
        print(f"  {100 * share:5.1f}%  {stage}")


if __name__ == "__main__":
    main()
