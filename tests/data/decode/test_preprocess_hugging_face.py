"""What image processors of transformers give, against transformers itself.

`hugging_face_pixels.json` holds pixels that its processors made of a drawn picture, so that they
are compared where the library is not installed; running this file writes them anew.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_hugging_face import PROCESSORS, of_hugging_face
from camcli.data.decode.preprocess_words import applied
from camcli.errors import UsageError

PIXELS = Path(__file__).with_name("hugging_face_pixels.json")
PHOTOGRAPHS = sorted(Path(__file__).parents[3].glob("sample_images/*.jpg"))[:3]
# Steps of 1/255 by which Pillow and torchvision differ, too.
STEPS = 2.01
VARIANTS = ("", "Pil")

# What a file says, by class: its own defaults first, and what is easily read otherwise.
CASES: list[tuple[str, dict[str, Any]]] = [
    # MobileViT's own defaults cut 256 pixels out of 224.
    *[(kind, {}) for kind in PROCESSORS if kind != "MobileViT"],
    ("ViT", {"size": 48}),
    ("ViT", {"size": {"height": 40, "width": 64}, "crop_size": 32}),  # no do_center_crop: no crop
    ("ViT", {"size": {"shortest_edge": 60}, "do_center_crop": True, "crop_size": 51}),
    ("ViT", {"size": 48, "do_rescale": False}),
    ("ViT", {"size": 48, "do_normalize": False, "do_rescale": False}),
    ("ViT", {"size": 48, "do_normalize": None, "resample": 4}),
    ("ViT", {"size": 48, "image_mean": 0.25, "image_std": 0.125, "rescale_factor": 1 / 127.5}),
    ("DeiT", {"size": 72, "crop_size": 64}),  # both sides
    ("Beit", {"size": 72, "crop_size": {"height": 63, "width": 40}, "do_center_crop": True}),
    ("CLIP", {"size": 72, "crop_size": 64}),  # the shorter side
    ("CLIP", {"size": {"shortest_edge": 71}, "crop_size": {"height": 64, "width": 50}}),
    ("CLIP", {"size": {"height": 70, "width": 90}, "crop_size": 64, "resample": 1}),
    ("Bit", {"size": [64, 80], "do_center_crop": False}),
    ("ConvNext", {"size": {"shortest_edge": 64}, "crop_pct": 0.875}),
    ("ConvNext", {"size": 64, "do_center_crop": True, "crop_size": 48}),
    ("ConvNext", {"size": {"shortest_edge": 384}, "crop_pct": 0.5}),  # squashed
    ("EfficientNet", {"size": 48, "include_top": False}),
    ("EfficientNet", {"size": 48, "rescale_offset": True, "rescale_factor": 1 / 127.5,
                      "image_std": [0.2, 0.3, 0.4]}),
    ("EfficientNet", {"size": 48, "do_normalize": False, "image_std": [0.2, 0.3, 0.4]}),
    ("Levit", {"size": {"shortest_edge": 63}, "crop_size": 64}),
    ("Levit", {"size": {"height": 70, "width": 75}, "crop_size": 64}),
    ("MobileViT", {"size": 72, "crop_size": 64, "do_normalize": True}),  # it has no such step
    ("MobileViT", {"size": 72, "crop_size": 64, "do_flip_channel_order": False}),
    ("PoolFormer", {"size": 64, "crop_size": 64, "crop_pct": 0.9}),
    ("PoolFormer", {"size": 64, "crop_size": 60, "crop_pct": None}),
    ("PoolFormer", {"size": {"height": 60, "width": 60}, "crop_size": 60, "crop_pct": 0.8}),
    ("PoolFormer", {"size": {"height": 60, "width": 70}, "crop_size": 60, "crop_pct": 0.8}),
    ("Segformer", {"size": 64, "do_center_crop": True, "crop_size": 32}),  # it has no such step
    ("Siglip", {"size": {"height": 64, "width": 64}, "resample": 1}),
]  # fmt: skip


def drawn() -> np.ndarray:
    """(89, 131, 3) uint8: waves with edges, the same everywhere."""
    rows, columns = np.mgrid[:89, :131]
    waves = np.stack([np.sin(rows / 5), np.cos(columns / 7), np.sin((rows - columns) / 9)], 2)
    steps = ((rows // 16 + columns // 16) % 2)[..., None] * 60.0
    return (waves * 90 + steps + 98).round().clip(0, 255).astype(np.uint8)


def places(height: int, width: int) -> list[tuple[int, int]]:
    """Pixels that are compared: the corners, and some within."""
    shares = (0, 0), (0, 1), (1, 0), (1, 1), (0.31, 0.64), (0.5, 0.5), (0.73, 0.12)
    return [(round(v * (height - 1)), round(u * (width - 1))) for v, u in shares]


def theirs(kind: str, variant: str, said: dict[str, Any], rgb: np.ndarray) -> Tensor:
    """What transformers makes of a picture, as (C, H, W)."""
    import transformers

    made = getattr(transformers, f"{kind}ImageProcessor{variant}")(**said)
    return made(Image.fromarray(rgb), return_tensors="pt")["pixel_values"][0].float()


def steps(made: Preprocess, ours: Tensor, wanted: Tensor) -> Tensor:
    """How far apart, in steps of 1/255 of a pixel's value: (C, ...)."""
    scale = torch.tensor(made.std).view(-1, *[1] * (ours.ndim - 1))
    return (ours - wanted).abs() * 255 * scale


@pytest.mark.parametrize("row", json.loads(PIXELS.read_text())["rows"], ids=str)
def test_the_pixels_are_those_of_transformers(row: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "preprocessor_config.json"
    file.write_text(
        json.dumps({**row["said"], "image_processor_type": f"{row['class']}ImageProcessor"})
    )
    made = applied(file, Preprocess(size=99))
    ours = made.tensor(drawn())[0]
    assert list(ours.shape) == row["shape"]
    seen = torch.stack([ours[:, y, x] for y, x in places(*ours.shape[1:])], 1)
    for variant in {"torchvision", "Pil"} & row.keys():
        assert steps(made, seen, torch.tensor(row[variant])).max() <= STEPS


def test_all_cases_are_in_the_table() -> None:
    rows = json.loads(PIXELS.read_text())["rows"]
    assert [[row["class"], row["said"]] for row in rows] == json.loads(json.dumps(CASES))


@pytest.mark.parametrize(
    ("kind", "said", "words"),
    [
        # 32, and then 224 of it: a stamp in a black frame.
        ("CLIP", {"size": {"shortest_edge": 32}},
         r"the shorter side to 32 .* cuts 224x224 .*as its class does.*write that as crop_size"),
        ("DeiT", {"size": 32}, r"to 32x32 .* cuts 224x224 .*as its class does"),
        ("DeiT", {"size": 224, "crop_size": 256}, r"to 224x224 pixels, and then cuts 256x256"),
        ("PoolFormer", {"crop_pct": 1.1}, "the shorter side to 203 pixels, and then cuts 224x224"),
        ("ConvNext", {"size": 224, "crop_pct": 1.5}, "the shorter side to 149 .* cuts 224x224"),
        ("MobileViT", {}, "the shorter side to 224 pixels, and then cuts 256x256"),
        ("CLIP", {"do_center_crop": False}, "a shape of its own"),
        ("Siglip", {"size": 224}, "a shape of its own"),
        ("MobileNetV1", {"do_resize": False}, "it resizes nothing"),
        ("ViT", {"do_resize": None}, "it resizes nothing"),
        ("CLIP", {"size": {"shortest_edge": 224, "longest_edge": 400}}, "shortest_edge alone"),
        ("ViT", {"size": {"longest_edge": 224}}, "its size says longest_edge"),
        ("ViT", {"do_center_crop": True, "crop_size": {"shortest_edge": 9}}, "its crop_size says"),
        ("ConvNext", {"size": {"height": 64, "width": 64}}, "wants a size such as"),
        ("ConvNext", {"size": 64, "do_center_crop": True, "crop_size": 49}, "half a pixel off"),
        ("ViT", {"resample": 5}, "the filter 5"),
        ("ViT", {"resample": None}, "the filter None"),
        ("ViT", {"do_pad": True}, "do_pad"),
        ("ViT", {"do_rescale": "no"}, "do_rescale must be true or false"),
        ("ViT", {"size": 64.5}, "whole numbers of pixels"),
        ("ViT", {"size": None}, "does not say which size"),
        ("ViT", {"image_mean": None}, "image_mean"),
        ("Perceiver", {}, "cuts the centre out of the photograph before it resizes it"),
        ("PPLCNet", {}, "rounds the sides"),
        ("Siglip2", {}, "patches"),
        ("Ours", {"size": 224}, "it is not known here what an image processor 'Ours' does"),
        ("", {"size": 64, "crop_size": 56, "image_mean": 0.5, "image_std": 0.5},
         "does not say whether its size 64 is the shorter side or both"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused(
    kind: str, said: dict[str, Any], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "preprocessor_config.json"
    given = {"image_processor_type": f"{kind}ImageProcessorFast"} if kind else {}
    file.write_text(json.dumps({"do_normalize": True, **said, **given}))
    with pytest.raises(UsageError, match=rf"(?s)preprocessor_config\.json.*{words}"):
        applied(file, Preprocess())


def test_what_a_refusal_proposes_is_taken(tmp_path: Path) -> None:
    """The settings in it, and the crop_size."""
    file = tmp_path / "p.json"
    said = {"image_processor_type": "CLIPFeatureExtractor", "size": {"shortest_edge": 32},
            "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}  # fmt: skip
    file.write_text(json.dumps(said))
    with pytest.raises(UsageError) as told:
        applied(file, Preprocess())
    settings = str(told.value).rpartition("--preprocess '")[2].partition("'")[0]
    assert applied(settings, Preprocess()).mean == (0.1, 0.2, 0.3)
    file.write_text(json.dumps({**said, "crop_size": {"height": 32, "width": 32}}))
    assert applied(file, Preprocess()).resize == 32


@pytest.mark.heavy
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", PROCESSORS)
def test_classes_do_what_is_said_of_them(kind: str, variant: str) -> None:
    transformers = pytest.importorskip("transformers", reason="camcli[hf] is not installed")
    processor = getattr(transformers, f"{kind}ImageProcessor{variant}")
    for name, value in PROCESSORS[kind].items():
        theirs = getattr(processor, name, None)
        theirs = tuple(theirs) if isinstance(theirs, list) else theirs
        assert theirs == value or (theirs is None and not value), name


@pytest.mark.heavy
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", PROCESSORS)
def test_whatever_is_taken_gives_the_pixels_of_transformers(kind: str, variant: str) -> None:
    """Settings by chance on photographs: equal, or refused."""
    pytest.importorskip("transformers", reason="camcli[hf] is not installed")
    chance = random.Random(f"{kind}{variant}")
    photographs = [np.asarray(Image.open(path).convert("RGB")) for path in PHOTOGRAPHS]
    photographs += [photographs[0][:, :77], photographs[1][:51], photographs[2][::40, ::40]]
    taken = 0
    for _ in range(60):
        said = {name: chance.choice(values) for name, values in CHANCES.items()
                if chance.random() < 0.4}  # fmt: skip
        if kind not in ("ConvNext", "PoolFormer"):
            said.pop("crop_pct", None)
        if not variant and said.get("resample") in (0, 4):
            continue  # torchvision has no ``box``, and between two pixels takes the other for 0
        try:
            made = of_hugging_face({**said, "image_processor_type": f"{kind}ImageProcessor"})
        except (UsageError, KeyError, ValueError, TypeError):
            continue
        rgb = chance.choice(photographs)
        try:
            wanted = theirs(kind, variant, said, rgb)
        except (RuntimeError, TypeError, ValueError):
            continue  # it does not do what it is told, either
        ours = made.tensor(rgb)[0]
        assert ours.shape == wanted.shape, said
        off = steps(made, ours, wanted)
        # Between two pixels of a strip ``nearest`` may take the other here, too.
        assert off.max() <= STEPS or (made.interpolation == "nearest" and off.mean() < 0.5), said
        taken += 1
    assert taken >= 10


CHANCES: dict[str, list[Any]] = {
    "size": [64, 128, {"shortest_edge": 64}, {"shortest_edge": 75}, {"shortest_edge": 224},
             {"shortest_edge": 384}, {"height": 72, "width": 72}, {"height": 81, "width": 60},
             [60, 80]],
    "crop_size": [32, 51, 64, {"height": 56, "width": 48}, {"height": 49, "width": 63}, [48, 50]],
    "do_resize": [True, True, True, False],
    "do_center_crop": [True, False, None],
    "do_rescale": [True, True, False],
    "do_normalize": [True, True, False, None],
    "resample": [0, 1, 2, 3, 4, 5],
    "image_mean": [[0.4, 0.5, 0.3], 0.5],
    "image_std": [[0.2, 0.3, 0.25], 0.25],
    "rescale_factor": [1 / 255, 1 / 127.5, 1.0],
    "crop_pct": [0.8, 0.875, 0.9, 1.0],
    "include_top": [True, False],
    "rescale_offset": [True, False],
    "do_flip_channel_order": [True, False],
}  # fmt: skip


def write() -> None:
    """Ask transformers for the table."""
    import transformers

    rows: list[dict[str, Any]] = []
    for kind, said in CASES:
        row: dict[str, Any] = {"class": kind, "said": said}
        for variant in VARIANTS:
            if not variant and said.get("resample") == 4:
                continue  # torchvision has no such filter
            pixels = theirs(kind, variant, said, drawn())
            row["shape"] = list(pixels.shape)
            seen = torch.stack([pixels[:, y, x] for y, x in places(*pixels.shape[1:])], 1)
            row[variant or "torchvision"] = [[float(f"{v:.6g}") for v in c] for c in seen.tolist()]
        rows.append(row)
    lines = ",\n".join(json.dumps(row) for row in rows)
    version = transformers.__version__
    PIXELS.write_text(f'{{"transformers": "{version}", "rows": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    write()
