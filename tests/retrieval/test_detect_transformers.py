"""The adapter for transformers' detectors, with a tiny random model in the hub's own files; no network."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.retrieval.footage import walkers, wall, write_video
from xreid.core.errors import CheckpointError, ConfigError
from xreid.retrieval import detect_auto
from xreid.retrieval.detect_auto import choose_detector
from xreid.retrieval.ingest import ingest_video
from xreid.retrieval.ingest_config import IngestConfig

transformers = pytest.importorskip("transformers")

from xreid.retrieval.detect_transformers import TransformersDetector  # noqa: E402


def _write_model(folder: Path, *, labels: dict[int, str]) -> Path:
    import torch
    from transformers import RTDetrImageProcessor, RTDetrResNetConfig, RTDetrV2Config
    from transformers import RTDetrV2ForObjectDetection as Network

    torch.manual_seed(0)
    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = RTDetrV2Config(
        backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[8, 16, 16], encoder_layers=1,
        encoder_ffn_dim=16, encoder_attention_heads=2, d_model=16, num_queries=10, decoder_layers=2,
        decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_attention_heads=2, decoder_n_points=2,
        num_denoising=0, id2label=labels, label2id={name: i for i, name in labels.items()},
        anchor_image_size=None,
    )  # fmt: skip
    Network(config).save_pretrained(folder)
    RTDetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write_model(tmp_path_factory.mktemp("model"), labels={0: "bicycle", 1: "person"})


def test_boxes_of_persons_in_pixels_of_each_frame(model: Path) -> None:
    detector = TransformersDetector(str(model), min_score=0.001)
    images = [wall(), *walkers(2), wall(seed=3, size=(100, 90))]
    together = detector(images)
    assert len(together) == 4
    for image, boxes in zip(images, together, strict=True):
        assert boxes.dtype == np.float32
        assert boxes.shape[1] == 5
        height, width = image.shape[:2]
        assert (boxes[:, :4] >= 0).all()
        assert (boxes[:, [0, 2]] <= width).all()
        assert (boxes[:, [1, 3]] <= height).all()
        assert (boxes[:, 2:4] > boxes[:, :2]).all()
        assert ((boxes[:, 4] >= 0.001) & (boxes[:, 4] <= 1)).all()
    assert sum(map(len, together)) > 0, "a random model is not sure of anything, but the threshold is low"
    alone = [detector([image])[0] for image in images]
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=1e-2)
    assert sum(map(len, TransformersDetector(str(model), min_score=0.99)(images))) == 0


def test_only_persons_count(model: Path) -> None:
    detector = TransformersDetector(str(model))

    def found(output: Any, **options: Any) -> list[dict[str, Any]]:
        import torch

        assert options["target_sizes"] == [(240, 320)]
        boxes = torch.tensor([[1.0, 2, 30, 80], [5, 5, 50, 90], [-5, -9, 400, 300]])
        return [{"boxes": boxes, "labels": torch.tensor([1, 0, 1]), "scores": torch.tensor([0.9, 0.8, 0.7])}]

    detector._processor.post_process_object_detection = found
    (boxes,) = detector([wall()])
    assert boxes == pytest.approx(np.array([[1, 2, 30, 80, 0.9], [0, 0, 320, 240, 0.7]]))


def test_models_that_cannot_serve(model: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        TransformersDetector(str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="cannot load detector"):
        TransformersDetector(str(tmp_path / "empty"))
    with pytest.raises(CheckpointError, match="cannot load detector.*download the model once"):
        TransformersDetector("nobody/there-is-no-such-model")
    horses = _write_model(tmp_path / "horses", labels={0: "horse", 1: "cow"})
    with pytest.raises(ConfigError, match="knows no person.*horse"):
        TransformersDetector(str(horses))


def test_an_ingest_with_a_network_and_another_one_of_the_same_name(model: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "walk.mp4", walkers(12))
    folder = _write_model(tmp_path / "model", labels={0: "person"})
    detector = f"transformers:{folder}"
    config = IngestConfig(detector=detector, min_score=0.001, min_height=2, stills=True, batch=5)
    report = ingest_video(video, tmp_path / "out", config=config)
    assert report.frames == 12
    assert report.crops >= 12, "a random model finds somebody everywhere, at so low a threshold"
    weights = folder / "config.json"
    weights.write_text(json.dumps(json.loads(weights.read_text()) | {"note": 1}))
    with pytest.raises(ConfigError, match="with other options"):
        ingest_video(video, tmp_path / "out", config=config)


def test_auto_takes_what_lies_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    there: set[str] = set()
    monkeypatch.setattr(
        huggingface_hub,
        "try_to_load_from_cache",
        lambda model, file: str(tmp_path / file) if model in there else None,
    )
    monkeypatch.setattr(detect_auto, "_torchvision_file", lambda: None)
    notes: list[str] = []
    assert choose_detector("auto", device="cpu", note=notes.append) == "motion"
    assert "no detector's weights" in notes[0]
    there.add(detect_auto.ON_GPU)
    assert choose_detector("auto", device="cpu", note=notes.append) == f"transformers:{detect_auto.ON_GPU}"
    there.add(detect_auto.ON_CPU)
    assert choose_detector("auto", device="cpu", note=notes.append) == f"transformers:{detect_auto.ON_CPU}"
    assert choose_detector("auto", device="cuda:0", note=notes.append) == f"transformers:{detect_auto.ON_GPU}"
    assert choose_detector("hog", device="cpu", note=notes.append) == "hog"
    there.clear()
    monkeypatch.setattr(detect_auto, "_torchvision_file", lambda: tmp_path)
    assert choose_detector("auto", device="cuda", note=notes.append).startswith("torchvision:")
    assert choose_detector("auto", device="cpu", note=notes.append) == "motion"
