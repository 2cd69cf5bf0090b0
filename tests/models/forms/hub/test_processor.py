"""What a folder's image processor asks for and cannot be done, and what the user says instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from camcli.errors import UsageError
from camcli.models.load import load_classifier

transformers = pytest.importorskip("transformers", reason="camcli[hf] is not installed")

pytestmark = pytest.mark.heavy

PHOTOGRAPH = sorted(Path(__file__).parents[4].glob("sample_images/*.jpg"))[0]
MEAN, STD = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny network of 32 pixels, without its processor."""
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=32, patch_size=8, num_labels=3,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    return tmp_path


def says(folder: Path, **values: Any) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(values))


def test_a_stamp_in_a_black_frame_is_refused_until_it_is_said_otherwise(folder: Path) -> None:
    says(folder, image_processor_type="CLIPImageProcessor", size={"shortest_edge": 32},
         image_mean=MEAN, image_std=STD, resample=1)  # fmt: skip
    with pytest.raises(UsageError, match=r"preprocessor_config\.json: it resizes the shorter side"):
        load_classifier(str(folder), device="cpu")
    made = load_classifier(str(folder), device="cpu", preprocess="size=32 resize=36").preprocess
    # What the file says that can be done is kept.
    assert (made.size, made.resize, made.interpolation) == (32, 36, "lanczos")
    assert (list(made.mean), list(made.std)) == (MEAN, STD)
    with pytest.raises(UsageError, match=r"What --preprocess says has no size\."):
        load_classifier(str(folder), device="cpu", preprocess="mean=0.5 std=0.5")


def test_what_takes_other_steps_has_all_to_be_said(folder: Path) -> None:
    transformers.PerceiverImageProcessor().save_pretrained(folder)
    with pytest.raises(UsageError, match="cuts the centre out of the photograph before"):
        load_classifier(str(folder), device="cpu")
    with pytest.raises(UsageError, match=r"has no mean and no std\."):
        load_classifier(str(folder), device="cpu", preprocess="size=32")
    said = "size=32 imagenet crop"
    assert load_classifier(str(folder), device="cpu", preprocess=said).preprocess.size == 32


def test_another_class_with_the_usual_steps_is_taken(folder: Path) -> None:
    """Chinese-CLIP's is none of classifiers, and does what CLIP's does."""
    processor = transformers.ChineseCLIPImageProcessor(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}
    )
    processor.save_pretrained(folder)
    made = load_classifier(str(folder), device="cpu").preprocess
    photograph = Image.open(PHOTOGRAPH).convert("RGB")
    theirs = processor(photograph, return_tensors="pt")["pixel_values"]
    assert (made.tensor(np.asarray(photograph)) - theirs).abs().max() < 0.05


@pytest.mark.parametrize("step", ["center_crop", "normalize", "resize", "rescale"])
def test_a_step_that_is_no_longer_what_it_was_is_seen(
    folder: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of the library: what it gives is held against what is read."""
    kind = transformers.CLIPImageProcessor
    kind(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    load_classifier(str(folder), device="cpu")
    own = getattr(kind, step)

    def other(self: Any, image: Any, *args: Any, **options: Any) -> Any:
        return own(self, image.roll(3, -1) if step != "rescale" else image, *args, **options)

    def fused(self: Any, images: Any, *_: Any) -> Any:
        return images / 255.0

    if step == "rescale":
        monkeypatch.setattr(kind, "rescale_and_normalize", fused)
    else:
        monkeypatch.setattr(kind, step, other)
    with pytest.raises(UsageError, match=r"CLIPImageProcessor makes something else of a picture"):
        load_classifier(str(folder), device="cpu")
