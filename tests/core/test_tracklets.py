from pathlib import Path

import pytest

from xreid.core.errors import DataError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable


def row(name: str = "a", **fields: object) -> Tracklet:
    return Tracklet(**{"name": name, "frames": ("1.jpg",), "modality": Modality.INFRARED, **fields})  # type: ignore[arg-type]


def test_a_tracklet_is_valid_at_birth() -> None:
    with pytest.raises(DataError, match="no frames"):
        row(frames=())
    with pytest.raises(DataError, match="empty name"):
        row(name="")
    with pytest.raises(DataError, match="modality"):
        row(modality="infrared")
    with pytest.raises(DataError, match="quality 1.5"):
        row(quality=1.5)
    with pytest.raises(DataError, match="modality_confidence 0.4"):
        row(modality_confidence=0.4)


def test_names_are_unique_and_a_table_is_not_empty() -> None:
    with pytest.raises(DataError, match="occurs twice"):
        TrackletTable(root=Path(), rows=(row(), row()))
    with pytest.raises(DataError, match="no tracklets"):
        TrackletTable(root=Path(), rows=())


def test_selection_keeps_order_and_names_what_is_missing() -> None:
    table = TrackletTable(
        root=Path("r"),
        rows=(row("a", identity="10", subset="train"), row("b", identity="2", camera="D3", subset="query")),
    )
    assert [t.name for t in table.take([1, 0])] == ["b", "a"]
    assert table.identities() == ["10", "2"], "string order, as BUPTCampus checkpoints need"
    assert table.cameras() == ["D3"]
    with pytest.raises(DataError, match="gallery"):
        table.subset("gallery")


def test_test_rows_are_both_lists_or_everything() -> None:
    rows = (row("a", subset="train"), row("b", subset="query"), row("c", subset="gallery"))
    assert [t.name for t in TrackletTable(root=Path(), rows=rows).test_rows()] == ["b", "c"]
    assert [t.name for t in TrackletTable(root=Path(), rows=rows[:1]).test_rows()] == ["a"]


def test_modalities_are_each_others_opposite() -> None:
    assert Modality.VISIBLE.other is Modality.INFRARED
    assert Modality.INFRARED.other is Modality.VISIBLE
