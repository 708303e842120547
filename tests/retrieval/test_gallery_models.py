"""A folder that grows, embedded by one model after the other: nobody comes twice, nobody erased comes back.

The models are stand-ins: a vector follows from the model and from what the frames show, but for rounding.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.sets import ORIGIN
from xreid.cli.main import main
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import DataError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.inference.growth import grown, look
from xreid.retrieval.gallery import Entry, Gallery, Receipt
from xreid.retrieval.gallery_again import embed_again
from xreid.retrieval.gallery_check import check_gallery
from xreid.retrieval.gallery_rows import footage_of
from xreid.retrieval.queries import queries_from_set

DATE = 1_790_000_000.0  # Unix seconds
DAY = 86400.0


def row(number: int, *, camera: str = "gate", start_s: float | None = None, crops: int = 3) -> Tracklet:
    """As `xreid ingest` writes it."""
    start = 10.0 * number if start_s is None else start_s
    name = f"{camera}-{number:04d}"
    return Tracklet(
        name=name,
        frames=tuple(f"frames/{name}/{i:06d}.jpg" for i in range(crops)),
        modality=Modality.VISIBLE,
        camera=camera,
        start_s=start,
        end_s=start + crops,
        source=f"{camera}.mp4",
        quality=0.5,
    )


def vector(model: str, one: Tracklet, *, shown: str = "", rounding: int = 0) -> np.ndarray:
    """float32 [16] of unit length."""
    pictures = json.dumps([model, shown, one.name, one.start_s, one.frames])
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(pictures.encode()).digest()[:8]))
    found = rng.normal(size=16) + 1e-6 * np.random.default_rng(rounding).normal(size=16)
    return np.asarray(found / np.linalg.norm(found), dtype=np.float32)


def embed(
    model: str,
    rows: Sequence[Tracklet],
    out: Path,
    *,
    root: str = "/live",
    shown: str = "",
    rounding: int = 0,
) -> EmbeddingSet:
    """As `xreid embed` does: a folder that is there grows."""
    origin = replace(ORIGIN, checkpoint=model * 64)
    table = TrackletTable(root=Path(root), rows=tuple(rows))
    growth = look(out, table, origin)
    made = growth.known
    if growth.todo:
        todo = table.take(growth.todo)
        vectors = np.stack([vector(model, one, shown=shown, rounding=rounding) for one in todo])
        new = EmbeddingSet(vectors=vectors, table=todo, origin=origin)
        made = new if made is None else grown(made, new)
    assert made is not None
    made.save(out)
    return made


def names(gallery: Gallery) -> list[str]:
    return sorted(entry.tracklet.name for entry in gallery.walk())


def change_model(gallery: Gallery, model: str, work: Path) -> None:
    def make(table: TrackletTable, out: Path) -> EmbeddingSet:
        return embed(model, table.rows, out, root=str(table.root), rounding=7)

    embed_again(gallery, make, work=work)


def made_older(gallery: Gallery, **changes: object) -> None:
    """Receipts as an older version wrote them."""
    for path in Path(gallery.address, "receipts").iterdir():
        plain = {name: value for name, value in json.loads(path.read_text()).items() if name != "footage"}
        path.write_text(json.dumps({**plain, **changes}))


@pytest.fixture(params=["folder", "lite"])
def gallery(request: pytest.FixtureRequest, tmp_path: Path) -> Gallery:
    if request.param == "lite":
        pytest.importorskip("milvus_lite")
    return Gallery.create(tmp_path / ("gallery" if request.param == "folder" else "gallery.db"))


@pytest.fixture
def changed(gallery: Gallery, tmp_path: Path) -> Gallery:
    """Eight tracklets of two days; two were erased; then model b took over."""
    for count in (5, 8):
        gallery.append(embed("a", [row(i) for i in range(count)], tmp_path / "a"), name="live")
    gallery.erase(names=["gate-0001", "gate-0006"])
    change_model(gallery, "b", tmp_path / "next")
    return gallery


def test_the_live_folder_goes_on_with_another_model(changed: Gallery, tmp_path: Path) -> None:
    left = ["gate-0000", "gate-0002", "gate-0003", "gate-0004", "gate-0005", "gate-0007"]
    ids = {entry.id for entry in changed.walk()}
    afresh = embed("b", [row(i) for i in range(8)], tmp_path / "b")
    assert changed.append(afresh, name="live") is None
    assert {entry.id for entry in changed.walk()} == ids
    stored = changed.append(embed("b", [row(i) for i in range(10)], tmp_path / "b"), name="live")
    assert stored is not None
    assert stored.rows == 2
    assert names(changed) == [*left, "gate-0008", "gate-0009"]
    (found,) = changed.nearest(vector("b", row(1))[None], k=8)
    assert found[0].score < 0.99, "whoever was erased is not found"
    for number in (2, 5, 8):
        (found,) = changed.nearest(vector("b", row(number))[None], k=8)
        assert [hit.entry.tracklet.name for hit in found if hit.score > 0.99] == [row(number).name]
    (query,) = queries_from_set(changed, afresh, ["gate-0002"])
    assert query.id == changed.find("gate-0002").id, "no hit of itself"
    assert list(check_gallery(changed)) == []


def test_what_was_found_to_be_there_is_not_looked_for_again(
    changed: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = embed("b", [row(i) for i in range(10)], tmp_path / "b")
    stored = changed.append(whole, name="live")
    assert stored is not None
    assert stored.rows == 2
    monkeypatch.setattr(changed, "_in_already", lambda *_: pytest.fail("it looked"))
    assert changed.append(whole, name="live") is None
    if not changed.address.endswith(".db"):
        assert Gallery.open(changed.address).append(whole, name="live") is None


def test_a_set_that_is_removed_can_be_appended_again(changed: Gallery, tmp_path: Path) -> None:
    whole = embed("b", [row(i) for i in range(10)], tmp_path / "b")
    changed.append(whole, name="live")
    before = names(changed)
    for stored in changed.sets:
        changed.remove(stored.key)
        again = changed.append(whole, name="live")
        assert again is not None
        assert again.rows == stored.rows
        assert names(changed) == before


def test_who_was_erased_stays_erased_wherever_the_folder_lies_and_however_it_is_cut(
    changed: Gallery, tmp_path: Path
) -> None:
    erased = [row(1), row(6)]
    longer = [row(1, crops=9), replace(row(6), quality=0.9, identity="0007", place="north")]
    halves = [replace(one, frames=one.frames[2:]) for one in erased]
    for number, rows in enumerate((erased, longer, halves)):
        made = embed("b", rows, tmp_path / f"b{number}", root="/moved")
        assert changed.append(made, name="live") is None
    for receipt in changed.receipts():
        assert "gate" not in json.dumps(vars(receipt), default=str).replace(changed.address, "")


def test_names_that_repeat_elsewhere_are_others(changed: Gallery, tmp_path: Path) -> None:
    """The next day's folder of the same camera, a folder of another one, and an archive listed alike."""
    before = len(changed)
    rows = [row(i, start_s=DATE + i) for i in range(8)]
    assert changed.append(embed("b", rows, tmp_path / "day", root="/day"), name="day") is not None
    assert changed.append(
        embed("b", [row(i, camera="yard") for i in range(8)], tmp_path / "yard"), name="yard"
    )
    archive = embed("b", [row(i) for i in range(8)], tmp_path / "x", root="/x", shown="other people")
    stored = changed.append(archive, name="archive")
    assert stored is not None
    assert (stored.rows, stored.erased) == (6, 2), "who is listed as somebody who was erased stays out"
    assert len(changed) == before + 22


def test_who_is_said_to_be_another_comes_in(changed: Gallery, tmp_path: Path) -> None:
    archive = embed("b", [row(1), row(6)], tmp_path / "x", root="/x", shown="other people")
    assert changed.append(archive, name="archive") is None
    (receipt,) = changed.receipts()
    with pytest.raises(DataError, match="no receipt erase-none"):
        changed.append(archive, name="archive", others_than=["erase-none"])
    stored = changed.append(archive, name="archive", others_than=[receipt.id])
    assert stored is not None
    assert stored.rows == 2
    assert list(check_gallery(changed)) == [], "and `check` knows"
    first = Gallery.create(tmp_path / "other")
    first.append(embed("a", [row(1)], tmp_path / "one"), name="live")
    word = first.erase(names=["gate-0001"]).id
    assert first.append(EmbeddingSet.load(tmp_path / "one"), name="live", others_than=[word]) is None, (
        "his vector"
    )


def test_check_finds_who_came_back_by_another_model(tmp_path: Path) -> None:
    gallery = Gallery.create(tmp_path / "gallery")
    gallery.append(embed("a", [row(i) for i in range(3)], tmp_path / "a"), name="live")
    gallery.erase(names=["gate-0001"])
    change_model(gallery, "b", tmp_path / "next")
    store = gallery._store
    with store.changing():  # as an older version did
        stored = replace(gallery.sets[0], key="0" * 16, rows=1, appended="2999-01-01T00:00:00+00:00")
        store.add(stored, embed("b", [row(1)], tmp_path / "b"), labels={})
    (fault,) = check_gallery(gallery)
    assert "1 tracklets that receipt erase-" in fault


def test_what_an_older_receipt_does_not_know(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It knows names and vectors. A date tells others apart; else the name decides, and is told."""
    gallery = Gallery.create(tmp_path / "gallery")
    gallery.append(embed("a", [row(i) for i in range(4)], tmp_path / "a"), name="live")
    receipt = gallery.erase(names=["gate-0001"])
    made_older(gallery, requested="2026-05-01T00:00:00+00:00")
    change_model(gallery, "b", tmp_path / "next")
    assert gallery.append(embed("b", [row(i) for i in range(4)], tmp_path / "b"), name="live") is None
    assert f"receipt {receipt.id}, by an older version, knows who was erased by name alone" in caplog.text
    dated = embed("b", [row(1, start_s=DATE)], tmp_path / "later", root="/later")
    assert gallery.append(dated, name="later") is not None, "after the erasure"
    undated = embed("b", [row(1, start_s=77)], tmp_path / "undated", root="/undated")
    assert gallery.append(undated, name="undated") is None
    assert gallery.append(undated, name="undated", others_than=[receipt.id]) is not None


def test_an_older_receipt_of_what_was_too_old_is_of_nothing_younger(tmp_path: Path) -> None:
    gallery = Gallery.create(tmp_path / "gallery")
    rows = [row(i, start_s=DATE + i * DAY) for i in range(4)]
    gallery.append(embed("a", rows, tmp_path / "a"), name="live")
    assert gallery.expire(older_than_s=DAY, at_s=DATE + 2.5 * DAY).tracklets == 2
    made_older(gallery)
    change_model(gallery, "b", tmp_path / "next")
    others = [row(0, start_s=DATE + 9 * DAY), row(1, start_s=5)]
    stored = gallery.append(
        embed("b", [*rows, *[replace(o, name=f"{o.name}x") for o in others]], tmp_path / "b"), name="b"
    )
    assert stored is not None
    assert stored.rows == 2
    again = embed("b", others, tmp_path / "others", root="/others")
    stored = gallery.append(again, name="others")
    assert stored is not None
    assert stored.rows == 2, "of these names, and not too old by their dates"


def test_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(tmp_path / "gallery")
    embed("a", [row(i) for i in range(4)], tmp_path / "live")
    assert main(["gallery", "add", home, str(tmp_path / "live")]) == 0
    assert main(["gallery", "erase", home, "gate-0001"]) == 0
    change_model(Gallery.open(home), "b", tmp_path / "next")
    embed("b", [row(i) for i in range(4)], tmp_path / "new" / "live")
    capsys.readouterr()
    assert main(["gallery", "add", home, str(tmp_path / "new" / "live")]) == 0
    told = capsys.readouterr().out
    assert "3 of live left out: in already, from the same footage" in told
    assert "1 of live left out: erased here before" in told
    assert "has nothing new for" in told
    assert main(["gallery", "check", home]) == 0


@pytest.mark.parametrize("damage", ["torn", "gone"])
def test_as_long_as_a_receipt_cannot_be_read_nothing_is_appended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    home, copy = tmp_path / "gallery", tmp_path / "receipt.json"
    embed("a", [row(i) for i in range(4)], tmp_path / "live")
    assert main(["gallery", "add", str(home), str(tmp_path / "live")]) == 0
    assert main(["gallery", "erase", str(home), "gate-0001", "--receipt", str(copy)]) == 0
    receipt = Receipt.load(copy)
    assert main(["gallery", "export", str(home), str(tmp_path / "export")]) == 0
    path = home / "receipts" / f"{receipt.id}.json"
    path.write_text("{") if damage == "torn" else path.unlink()
    more = embed("a", [row(i) for i in range(6)], tmp_path / "live")
    again = embed("a", [row(1)], tmp_path / "again", rounding=3)
    capsys.readouterr()
    for folder in ("live", "again"):
        assert main(["gallery", "add", str(home), str(tmp_path / folder)]) == 2
        told = capsys.readouterr()
        assert "whether these tracklets were erased from" in told.err
        assert f"--others_than {receipt.id}" in told.err
        assert "appended" not in told.out
    gallery = Gallery.open(home)
    assert len(gallery) == 3
    word = ["--others_than", receipt.id]
    assert main(["gallery", "add", str(home), str(tmp_path / "live"), *word]) == 0
    assert len(gallery) == 5, "on somebody's word"
    assert main(["gallery", "import", str(home), str(tmp_path / "export")]) == 0
    assert gallery.receipts() == [receipt], "an export brings it back"
    assert gallery.append(again, name="again") is None
    assert gallery.append(more, name="live") is None


def test_who_stayed_out_of_a_set_of_which_others_came_in_can_be_said_to_be_another(
    changed: Gallery, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    archive = embed("b", [row(i) for i in range(8)], tmp_path / "x", root="/x", shown="other people")
    stored = changed.append(archive, name="archive")
    assert stored is not None
    assert (stored.rows, stored.erased) == (6, 2)
    (receipt,) = changed.receipts()
    assert "2 tracklets stay out because they say the same of their footage as some" in caplog.text
    assert f"--others_than {receipt.id}" in caplog.text, "and how they come in"
    before = len(changed)
    rest = changed.append(archive, name="archive", others_than=[receipt.id])
    assert rest is not None
    assert rest.rows == 2
    assert changed.append(archive, name="archive", others_than=[receipt.id]) is None, "nobody comes twice"
    assert changed.append(archive, name="archive") is None
    assert len(changed) == before + 2


def test_who_stayed_out_of_a_folder_that_grew_can_be_said_to_be_another(
    changed: Gallery, tmp_path: Path
) -> None:
    """Two pieces that come in at once, of the first of which nobody does."""
    first = embed("b", [row(1), row(6)], tmp_path / "x", root="/x", shown="other people")
    whole = embed("b", [row(1), row(6), row(20)], tmp_path / "x", root="/x", shown="other people")
    stored = changed.append(whole, name="x")
    assert stored is not None
    assert (stored.rows, stored.erased) == (1, 2)
    assert changed.append(first, name="x") is None, "held by now"
    (receipt,) = changed.receipts()
    rest = changed.append(whole, name="x", others_than=[receipt.id])
    assert rest is not None
    assert rest.rows == 2
    assert changed.append(whole, name="x", others_than=[receipt.id]) is None
    changed.remove(stored.key)
    again = changed.append(whole, name="x")
    assert again is not None
    assert again.rows == 1
    assert list(check_gallery(changed)) == []


def test_names_that_repeat_every_day_are_not_all_looked_at(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def day(number: int) -> list[Tracklet]:
        start = DATE + number * DAY
        return [replace(row(i, start_s=start + 10 * i), source=f"{number}.mp4") for i in range(5)]

    for number in range(6):
        made = embed("a", day(number), tmp_path / f"{number}", root=f"/{number}")
        assert gallery.append(made, name=f"{number}") is not None
    looked = list[str]()
    walk = gallery.walk

    def counted(rules: object = None) -> Iterator[Entry]:
        for entry in walk(rules):  # type: ignore[arg-type]
            looked.append(entry.id)
            yield entry

    monkeypatch.setattr(gallery, "walk", counted)
    again = embed("a", day(3), tmp_path / "again", root="/3", rounding=5)
    assert gallery.append(again, name="again") is None, "they are found all the same"
    assert len(looked) == 5


def test_who_was_erased_is_known_whatever_moved_and_however_the_start_is_written() -> None:
    one = replace(row(1), start_s=None, end_s=None)
    kept = replace(one, frames=tuple(f"/old/{frame}" for frame in one.frames))
    moved = replace(one, frames=tuple(f"/new/disk/{frame}" for frame in one.frames))
    other = replace(one, frames=tuple(f"/new/other/{frame}/x.jpg" for frame in one.frames))
    assert footage_of(kept) == footage_of(moved) != footage_of(other)
    assert footage_of(row(1, start_s=10)) == footage_of(row(1, start_s=10.0))


class _Long(tuple[str, ...]):
    def __contains__(self, one: object) -> bool:
        raise AssertionError("it is gone through for every row")


def test_a_receipt_of_many_is_not_gone_through_for_every_row(gallery: Gallery, tmp_path: Path) -> None:
    gallery.append(embed("a", [row(i) for i in range(3)], tmp_path / "a"), name="live")
    receipt = gallery.erase(names=["gate-0001"])
    many = replace(receipt, names=_Long(receipt.names), footage=_Long(receipt.footage))
    assert [many.is_of_footage(row(i)) for i in range(3)] == [False, True, False]
    assert [many.is_of(row(i).name) for i in range(3)] == [False, True, False]
