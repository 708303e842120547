import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet, require_same_origin
from xreid.core.errors import DataError, ProtocolError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable

ORIGIN = EmbeddingOrigin(
    checkpoint="c", config="k", layout=(("cls", 3), ("o", 1)), preprocessing={"size": [64, 32]}
)


def make_set(count: int = 3) -> EmbeddingSet:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = tuple(
        Tracklet(
            name=f"t{i}",
            frames=(f"{i}/a.jpg", f"{i}/b.jpg"),
            modality=Modality.VISIBLE if i % 2 else Modality.INFRARED,
            identity=f"{i:04d}" if i else None,
            camera="D1",
            start_s=float(i),
            quality=i / 10,
            modality_confidence=0.75 if i else None,
            place="yard" if i else None,
            source="gate.mp4",
        )
        for i in range(count)
    )
    return EmbeddingSet(
        vectors=vectors, table=TrackletTable(root=Path("/x"), rows=rows, licence="L"), origin=ORIGIN
    )


def test_round_trip_keeps_every_column(tmp_path: Path) -> None:
    written = make_set()
    written.save(tmp_path / "set")
    read = EmbeddingSet.load(tmp_path / "set")
    assert np.array_equal(read.vectors, written.vectors)
    assert read.table.rows == written.table.rows
    assert read.origin == written.origin
    assert [path.name for path in tmp_path.iterdir()] == ["set"], "no temporary folder is left"


def test_rewriting_replaces_the_folder(tmp_path: Path) -> None:
    make_set(3).save(tmp_path / "set")
    make_set(2).save(tmp_path / "set")
    assert len(EmbeddingSet.load(tmp_path / "set")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_damage_and_newer_formats_are_refused(tmp_path: Path) -> None:
    make_set().save(tmp_path / "set")
    meta = tmp_path / "set" / "embedding.json"
    value = json.loads(meta.read_text())
    meta.write_text(json.dumps({**value, "format": 99}))
    with pytest.raises(DataError, match="another format.*99"):
        EmbeddingSet.load(tmp_path / "set")
    meta.write_text(json.dumps(value))
    vectors = tmp_path / "set" / "vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"\x01")
    with pytest.raises(DataError, match="damaged"):
        EmbeddingSet.load(tmp_path / "set")
    vectors.unlink()
    with pytest.raises(DataError, match=r"cannot read .*vectors\.npy.*Embed again"):
        EmbeddingSet.load(tmp_path / "set")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "another format"),
        ('{"format": 1}', r"embedding\.json is damaged; got 'origin'"),
        ('{"format": 1, "origin": {"layout": 3}}', r"embedding\.json is damaged"),
        ('{"format": 1, "origin": {"layout": [], "speed": 3}}', r"embedding\.json is damaged.*speed"),
    ],
)
def test_a_description_of_another_form_is_refused(text: str, message: str, tmp_path: Path) -> None:
    make_set().save(tmp_path / "set")
    (tmp_path / "set" / "embedding.json").write_text(text)
    with pytest.raises(DataError, match=message):
        EmbeddingSet.load(tmp_path / "set")


@pytest.mark.parametrize("value", [np.nan, 2.0])
def test_vectors_are_finite_and_of_unit_length(value: float) -> None:
    good = make_set()
    vectors = good.vectors.copy()
    vectors[1] *= value
    with pytest.raises(DataError, match="t1 is not of unit length"):
        replace(good, vectors=vectors)


def test_vectors_fit_table_and_layout() -> None:
    good = make_set()
    with pytest.raises(DataError, match="do not fit"):
        replace(good, vectors=good.vectors[:2])
    with pytest.raises(DataError, match="do not fit"):
        replace(good, vectors=good.vectors.astype(np.float64))


def test_vectors_of_other_models_are_not_compared() -> None:
    require_same_origin(ORIGIN, replace(ORIGIN, source="elsewhere"))
    with pytest.raises(ProtocolError, match="checkpoint"):
        require_same_origin(ORIGIN, replace(ORIGIN, checkpoint="d"))
    with pytest.raises(ProtocolError, match="preprocessing"):
        require_same_origin(ORIGIN, replace(ORIGIN, preprocessing={"size": [288, 144]}))
