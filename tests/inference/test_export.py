"""`xreid export`: the ONNX file is the model, for any number of tracklets and frames, or nothing is left."""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tests.inference.small import write_model
from tests.inference.test_export_encoder import HEIGHT, WIDTH, model_of
from tests.training.micro import NETWORK
from xreid.cli.main import main
from xreid.core.errors import CheckpointError, ConfigError
from xreid.core.tracklets import Modality, TrackletTable
from xreid.inference import export as exporting
from xreid.inference.checkpoint import LoadedModel, load_checkpoint
from xreid.inference.embed import EmbedConfig, Embedder
from xreid.inference.export import ExportConfig, ExportResult, export_model
from xreid.inference.export_check import as_model
from xreid.inference.export_encoder import TrackletEncoder
from xreid.inference.export_graph import trace
from xreid.inference.export_int8 import kept_float
from xreid.inference.onnx_encoder import OnnxEncoder

_TRACED: dict[str, onnx.ModelProto] = {}


@pytest.fixture(autouse=True)
def trace_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracing takes seconds; the same network is traced once."""

    def cached(encoder: TrackletEncoder) -> onnx.ModelProto:
        weights = sum(float(value.double().sum()) for value in encoder.state_dict().values())
        key = f"{encoder.dtype} {weights} {encoder.network}"
        if key not in _TRACED:
            _TRACED[key] = trace(encoder)
        return copy.deepcopy(_TRACED[key])

    monkeypatch.setattr(exporting, "trace", cached)


@dataclass(frozen=True)
class Exported:
    model: LoadedModel
    result: ExportResult
    encoder: OnnxEncoder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """float32, with cameras, mirror images, a BNNeck per modality, and strides longer than most clips."""
    config = replace(NETWORK, cameras=("D1", "D2"), neck="per-modality", sii_stride=3, lii_stride=4)
    model = model_of(config)
    preprocessing = replace(model.checkpoint.preprocessing, flip=True)
    model = replace(model, checkpoint=replace(model.checkpoint, preprocessing=preprocessing))
    result = export_model(model, tmp_path_factory.mktemp("export") / "out")
    return Exported(model, result, OnnxEncoder.load(result.folder, threads=1))


@pytest.mark.parametrize(("tracklets", "frames"), [(1, 1), (3, 1), (1, 2), (4, 3), (2, 4), (5, 9)])
def test_any_number_of_tracklets_and_frames(exported: Exported, tracklets: int, frames: int) -> None:
    generator = np.random.default_rng(tracklets * 10 + frames)
    values = {
        "frames": generator.integers(0, 256, (tracklets, frames, HEIGHT, WIDTH, 3), dtype=np.uint8),
        "cameras": generator.integers(-1, 2, tracklets),
        "modalities": generator.integers(0, 2, tracklets),
    }
    embeddings, features = exported.encoder.session.run(["embeddings", "features"], values)
    expected = TrackletEncoder(exported.model)(*map(torch.from_numpy, values.values()))
    np.testing.assert_allclose(embeddings, expected[0].detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(features, expected[1].detach().numpy(), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_a_camera_past_the_last_is_refused(exported: Exported) -> None:
    frames = np.zeros((1, 2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    with pytest.raises(Exception, match="indices element out of data bounds"):
        exported.encoder.features(frames, cameras=np.array([2]), modalities=np.array([0]))


def test_the_record_says_what_a_user_must_know(exported: Exported) -> None:
    record = exported.encoder.record
    assert record["frame_size"] == [HEIGHT, WIDTH]
    assert record["cameras"] == ["D1", "D2"]
    assert record["layout"] == [["bn_cls", 16], ["bn_proj", 8], ["bn_interaction", 16]]
    assert record["licence"] == exported.model.checkpoint.licence
    assert record["checkpoint_sha256"] == exported.model.sha256
    assert record["check"] is None
    assert record["flip"] == "inside of the model"
    inside = {p.key: p.value for p in onnx.load(exported.result.folder / "model.onnx").metadata_props}
    assert inside["licence"] == record["licence"]
    for key, value in json.loads(inside["xreid"]).items():
        assert record[key] == value


def test_no_path_of_this_machine_is_in_the_file(exported: Exported) -> None:
    content = (exported.result.folder / "model.onnx").read_bytes()
    assert str(Path(exporting.__file__).parents[1]).encode() not in content
    assert b".py" not in content


@pytest.mark.parametrize("sampling", ["dense", "linspace"])
def test_embedding_with_it_is_embedding_with_the_model(
    exported: Exported, table: TrackletTable, sampling: str
) -> None:
    config = EmbedConfig(sampling=sampling, frames=3, clips_per_batch=5)
    rows = range(0, len(table), 3)
    one, other = (
        Embedder(model, table, config=config).embed(rows)
        for model in (exported.model, as_model(exported.encoder, exported.model))
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_sixteen_bits(precision: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", cameras=())
    result = export_model(model, tmp_path / "out", config=ExportConfig(precision=precision))
    graph = onnx.load(result.folder / "model.onnx").graph
    kind = {"fp16": onnx.TensorProto.FLOAT16, "bf16": onnx.TensorProto.BFLOAT16}[precision]
    large = [tensor for tensor in graph.initializer if np.prod(tensor.dims) >= 1024]
    assert large
    assert all(tensor.data_type == kind for tensor in large)
    frames = np.random.default_rng(0).integers(0, 256, (3, 2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    numbers = np.zeros(3, dtype=np.int64)
    encoder = OnnxEncoder.load(result.folder, threads=1)
    found = encoder.features(frames, cameras=numbers, modalities=numbers)
    expected = TrackletEncoder(model)(*map(torch.from_numpy, (frames, numbers, numbers)))[1].detach().numpy()
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert np.all(cosines > 0.999)
    assert not np.allclose(found, expected, atol=1e-6)  # it did change something


def test_int8_quantises_what_every_patch_passes_through(
    archive: Path, table: TrackletTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "model", cameras=())
    words = f"export {tmp_path / 'model'} {tmp_path / 'out'} --precision int8 --calibrate {archive}"
    assert (
        main(
            [
                *words.split(),
                "--min_frames",
                "1",
                "--calibration_tracklets",
                "8",
                "--check",
                str(archive),
                "--points",
                "100",
            ]
        )
        == 0
    )
    assert "int8" in capsys.readouterr().out
    kept = kept_float(exporting.trace(TrackletEncoder(model)))
    graph = onnx.load(tmp_path / "out" / "model.onnx").graph
    made_by = {name: node for node in graph.node for name in node.output}
    products = [node for node in graph.node if node.op_type in ("Conv", "MatMul", "Gemm")]

    def quantised(node: onnx.NodeProto) -> bool:
        return all(name in made_by and made_by[name].op_type == "DequantizeLinear" for name in node.input[:2])

    # patch projection, 1 block of qkv, proj, fc1, fc2; key_value of SII and LII
    assert sum(map(quantised, products)) == 7
    assert {node.name for node in products if not quantised(node)} == set(kept)
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert record["calibration"]["tracklets"] == 8
    assert 0.9 < record["check"]["least_cosine"] < 0.99999
    assert record["check"]["tracklets"] == len(table)


def test_calibration_needs_both_modalities(table: TrackletTable, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    visible = table.where(lambda row: row.modality is Modality.VISIBLE)
    with pytest.raises(ConfigError, match="no ir tracklets"):
        export_model(model, tmp_path / "out", config=ExportConfig(precision="int8"), calibration=visible)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model"]


def test_another_model_is_refused_and_nothing_is_left(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "model", seed=5, cameras=())
    graph = exporting.trace(TrackletEncoder(write_model(tmp_path / "other", cameras=())))
    monkeypatch.setattr(exporting, "_graph", lambda *_, **__: graph)
    words = ["export", str(tmp_path / "model"), str(tmp_path / "out"), "--check", str(archive)]
    assert main(words) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("xreid: error: the export is not the same model: the least cosine is ")
    assert "Nothing was kept" in error
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model", "other"]


def test_a_kill_is_gone_on_from(
    table: TrackletTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "model", cameras=())
    model, calls = load_checkpoint(tmp_path / "model"), []

    def killed(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 3:  # the exported model's first
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_model(model, tmp_path / "out", check=table, tell=killed)
    assert not (tmp_path / "out").exists()
    notes: list[str] = []
    monkeypatch.setattr(exporting, "_graph", lambda *_, **__: pytest.fail("traced again"))
    result = export_model(model, tmp_path / "out", check=table, note=notes.append)
    assert any("going on with the model" in text for text in notes)
    assert any("already holds these embeddings" in text for text in notes)
    assert result.check is not None
    assert result.check.least_cosine > 0.9999
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["export.json", "model.onnx"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model", "out"]


def test_work_of_other_options_is_not_taken(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", cameras=())
    exporting._write(
        model, tmp_path / ".out.export", config=ExportConfig(), calibration=None, note=lambda text: None
    )
    result = export_model(model, tmp_path / "out", config=ExportConfig(precision="bf16"))
    assert result.record["precision"] == "bf16"
    assert json.loads((tmp_path / "out" / "export.json").read_text())["precision"] == "bf16"


def test_code_that_looks_at_values_is_one_message(tmp_path: Path) -> None:
    model = model_of(NETWORK)

    class Looking(torch.nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return tokens if float(tokens.mean()) > 0 else -tokens

    model.network.encoder.vit.norm = Looking()
    with pytest.raises(ConfigError, match="cannot be exported; expected code that does not depend on values"):
        export_model(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_bad_options_are_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "model")
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    model, out = str(tmp_path / "model"), str(tmp_path / "out")
    for words, message in (
        ([model, str(tmp_path / "there")], "there exists. Choose another folder"),
        ([model, str(tmp_path / "file" / "in" / "it")], "file is a file. Choose another folder"),
        ([model, out, "--precision", "int8"], "Give --calibrate DATA"),
        ([model, out, "--calibrate", str(tmp_path)], "is no layout that xreid knows"),
        ([model, out, "--points", "-1"], "points is out of range"),
        ([model, out, "--cosine", "1.5"], "cosine is out of range"),
        ([model, out, "--points", "nan"], "Got value: nan"),
        ([str(tmp_path / "no"), out], "there is no checkpoint"),
    ):
        assert main(["export", *words]) == 2
        assert message in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", model, out]) == 2
    assert "needs the package onnxscript. pip install 'xreid[export]'" in capsys.readouterr().err
    assert not Path(out).exists()


def test_a_damaged_export_is_one_message(exported: Exported, tmp_path: Path) -> None:
    for name in ("model.onnx", "export.json"):
        (tmp_path / name).write_bytes((exported.result.folder / name).read_bytes())
    assert OnnxEncoder.load(tmp_path, threads=1).sha256 == exported.encoder.sha256
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="damaged or was exchanged"):
        OnnxEncoder.load(tmp_path)
