from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import cv2
import pytest

from xreid.core.tracklets import Modality
from xreid.data import open_archive
from xreid.simulation.config import SimulationConfig
from xreid.simulation.plan import plan_walks


def test_hitsz_lists_are_what_other_peoples_loaders_expect(hitsz: Path) -> None:
    """Read as the public loaders do: rows by 1-based inclusive ranges, paths from the names."""
    for split in ("train", "test"):
        names = (hitsz / f"info/{split}_name.txt").read_text().split("\n")[:-1]
        rows = [tuple(map(int, line.split())) for line in (hitsz / f"info/track_{split}_info.txt").open()]
        covered = 0
        for modality, start, end, identity, camera in rows:
            assert start == covered + 1
            covered = end
            assert 1 <= end - start + 1 <= 24
            for name in names[start - 1 : end]:
                found = re.fullmatch(r"(\d{4})M([12])D(\d+)T(\d+)F(\d+)\.jpg", name)
                assert found is not None
                pid, m, d, _, frame = found.groups()
                assert (int(pid), int(m), int(d)) == (identity, modality, camera)
                kind = "ir" if m == "1" else "rgb"
                assert (hitsz / split.capitalize() / pid / kind / f"D{d}" / f"{frame}.jpg").is_file()
                assert int(frame) % 5 == 1
        assert covered == len(names)
        assert len(set(names)) == len(names)
    lines = (hitsz / "info/query_IDX.txt").read_text().splitlines()
    assert len(lines) == 1
    queries = {int(word) - 1 for word in lines[0].split(" ")}
    assert queries == {i for i, row in enumerate(rows) if row[0] == 1}


def test_hitsz_is_read_back(hitsz: Path, hitsz_config: SimulationConfig) -> None:
    table = open_archive(hitsz, layout="hitsz-vcm", min_frames=1)
    walks = plan_walks(hitsz_config)
    assert sum(len(row.frames) for row in table) == sum(walk.frames for walk in walks)
    assert len(table.subset("train").identities()) == hitsz_config.train_identities
    test = table.subset("query", "gallery")
    assert len(test.identities()) == hitsz_config.test_identities
    assert not set(test.identities()) & set(table.subset("train").identities())
    assert {row.modality for row in table.subset("query")} == {Modality.INFRARED}
    for row in table.subset("query"):  # every query has a match in another camera
        others = [r for r in table.subset("gallery") if r.identity == row.identity and r.camera != row.camera]
        assert others
    assert cv2.imread(str(table.frame_path(table[0].frames[0]))) is not None
    assert open_archive(hitsz).source == "hitsz-vcm"


def test_bupt_lists(bupt: Path, bupt_config: SimulationConfig) -> None:
    paths = json.loads((bupt / "data_paths.json").read_text())
    lists = {
        name: [line.split(" ") for line in (bupt / f"{name}.txt").read_text().splitlines()]
        for name in ("train", "train_auxiliary", "query", "gallery")
    }
    people = {name: {row[0] for row in rows} for name, rows in lists.items()}
    assert people["query"] == people["gallery"]
    assert len(people["train"]) == bupt_config.train_identities
    assert len(people["train_auxiliary"]) == bupt_config.auxiliary_identities == len(lists["train_auxiliary"])
    assert not people["train"] & people["train_auxiliary"]
    assert not people["query"] & (people["train"] | people["train_auxiliary"])
    assert {p for names in people.values() for p in names} == set(paths)
    assert {row[1] for row in lists["train"] + lists["train_auxiliary"]} == {"RGB/IR"}
    assert {row[1] for row in lists["query"]} == {"RGB", "IR"}
    queried = {row[0]: row[2] for row in lists["query"]}
    assert len(queried) == len(lists["query"])  # one each
    counts: dict[str, int] = defaultdict(int)
    for identity, modality, camera, tracklet in lists["gallery"]:
        assert camera != queried[identity]
        assert paths[identity][modality][camera][tracklet]
        counts[modality] += 1
    assert counts["RGB"] == counts["IR"] > 0
    for identity, kinds in paths.items():
        for camera in kinds["RGB"]:
            visible, infrared = kinds["RGB"][camera]["1"], kinds["IR"][camera]["1"]
            assert len(visible) == len(infrared)
            for frame in (*visible, *infrared):
                assert (bupt / "DATA" / frame).is_file()
            fakes = [frame.replace("/RGB/", "/FakeIR/") for frame in visible]
            assert all((bupt / "DATA" / fake).is_file() and "_RGB_" in fake for fake in fakes)
            numbers = [int(frame.rsplit("_", 1)[1][:-4]) for frame in visible]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert visible[0].startswith(f"{identity}/RGB/{camera}/{identity}_RGB_{camera}_1_")


def test_bupt_is_read_back(bupt: Path, bupt_config: SimulationConfig) -> None:
    table = open_archive(bupt)
    assert table.source == "bupt-campus"
    assert len(table.subset("train").identities()) == bupt_config.train_identities
    assert {row.modality for row in table.subset("query")} == set(Modality)


def test_archives_say_that_they_are_synthetic(hitsz: Path, bupt: Path) -> None:
    for root in (hitsz, bupt):
        mark = json.loads((root / "simulation.json").read_text())
        assert mark["note"].startswith("SYNTHETIC")
        assert mark["complete"] is True
        assert mark["counts"]["frames"] == len(list(root.rglob("*.jpg")))


@pytest.mark.parametrize("layout", ["hitsz-vcm", "bupt-campus"])
def test_plans_agree_with_the_configuration(layout: str) -> None:
    config = SimulationConfig(layout=layout, seed=9, longest_walk=28)
    walks = plan_walks(config)
    cameras = defaultdict(set)
    for walk in walks:
        cameras[walk.identity].add(walk.camera)
        assert config.shortest_walk <= walk.frames <= config.longest_walk
    assert {len(names) for names in cameras.values()} == {config.cameras_per_identity}
    assert len(cameras) == config.train_identities + config.test_identities
    if layout == "hitsz-vcm":
        tails = [walk.frames % 24 for walk in walks if walk.frames > 24]
        short = sum(tail < 12 for tail in tails) / (len(walks) + len(tails))
        assert 0.02 < short < 0.35  # some tracklets fall to the filter of 12 frames, most do not
        assert 20_000 < sum(walk.frames for walk in plan_walks(SimulationConfig())) < 25_000
