"""Which map of a transformer can be believed? On photographs, and on drawn scenes with masks.

    python benchmarks/transformer_maps.py --photos CATS-DOGS --boxes-of DOG-BOXES --out DIR
    python benchmarks/transformer_maps.py --scenes --out DIR

No pretrained transformer can be had without a network, so two are trained here:

- *photographs*: a hybrid (Dosovitskiy et al. 2020, 2010.11929, section 3.1): a vision transformer
  with a class token on the 14x14 maps of the bundled EfficientNet-Lite0's ``blocks.4``, frozen;
  trained on photographs of cats and dogs by their names (``cat.1.jpg``), a quarter held out.
- *scenes*: a plain vision transformer with a class token on patches of 8x8 pixels, trained from
  nothing on drawn fruit (`camcli.data.synthetic`), whose masks are exact.

Measured a picture: average precision of the map's pixels against the object (its box in DOG-BOXES,
its mask in scenes, its cells in mosaics of two cats and two dogs), the share of the heat that is on
it, and deletion and insertion. Told is the mean with a 95% interval by bootstrap over pictures, and
each method's difference to gradcam at the last tokens (token-CAM) and to rollout, paired.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from camcli.cam.map_options import make_map_options
from camcli.cam.methods import METHODS
from camcli.data.decode.images import load_image
from camcli.data.sources.refs import ImageRef
from camcli.data.synthetic.scenes import draw_scene
from camcli.evaluate.measured.annotations import read_boxes
from camcli.evaluate.measured.seen import heat_on, probability_of, see_photographs
from camcli.evaluate.measured.square_canvas import centre_gaussian
from camcli.evaluate.metrics.faithfulness import deletion, insertion
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier

ASKED = ("gradcam", "hirescam", "layercam", "rollout", "chefer", "legrad", "attnlrp", "random")
GAUSSIAN = "centre-gaussian"
REFERENCES = ("gradcam", "rollout")  # what a method of transformers has to beat
FRUIT = ("apple", "banana", "grapes", "lemon")
SIDE = 96
DRAWS = 2000


class Hybrid(nn.Module):
    """A frozen backbone's maps, and a vision transformer on each of their cells."""

    def __init__(self, backbone: nn.Module, vit: nn.Module) -> None:
        super().__init__()
        self.backbone, self.vit = backbone, vit

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images (B, 3, 224, 224)."""
        return self.vit(self.backbone(images))


def vit(cells: int, patch: int, channels: int, classes: int, depth: int) -> VisionTransformer:
    """A small one with a class token."""
    return VisionTransformer(
        img_size=cells, patch_size=patch, in_chans=channels, num_classes=classes, embed_dim=128,
        depth=depth, num_heads=4, drop_path_rate=0.1,
    )  # fmt: skip


def fit(net: nn.Module, x: Tensor, y: Tensor, epochs: int, held: tuple[Tensor, Tensor]) -> float:
    """AdamW with a rate that rises and falls; the accuracy on what was held out."""
    steps, size = epochs * -(-len(x) // 64), 64
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, steps, pct_start=0.2)
    draw = torch.Generator().manual_seed(0)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for part in torch.randperm(len(x), generator=draw).split(size):
            loss = functional.cross_entropy(net(x[part]), y[part], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            total += float(loss.detach()) * len(part)
        net.eval()
        with torch.no_grad():
            said = torch.cat([net(part) for part in held[0].split(128)]).argmax(1)
        right = float((said == held[1]).float().mean())
        print(f"epoch {epoch + 1}: loss {total / len(x):.3f}, held out {right:.3f}", flush=True)
    return right


def photographs(folder: Path, out: Path, epochs: int, depth: int) -> tuple[Classifier, list[Path]]:
    """The hybrid, trained or read from `out`, and the photographs that it has not seen."""
    files = sorted(folder.glob("*.jpg"))
    order = np.random.default_rng(0).permutation(len(files))
    held = [files[n] for n in order[: len(files) // 4]]
    seen = [files[n] for n in order[len(files) // 4 :]]
    base = load_classifier(layer="blocks.4", fit="squash", offline=True)
    backbone = base.features
    assert isinstance(backbone, nn.Module)
    torch.manual_seed(0)
    net = vit(14, 1, 112, 2, depth)
    weights = out / "hybrid.pt"
    if not weights.exists():
        x, y = zip(*[(_maps(base, part), _kinds(part)) for part in (seen, held)], strict=True)
        both = torch.cat([x[0], x[0].flip(3)])  # nearly the maps of a mirrored photograph
        fit(net, both, y[0].repeat(2), epochs, (x[1], y[1]))
        torch.save(net.state_dict(), weights)
    net.load_state_dict(torch.load(weights, weights_only=True))
    made = load_classifier(
        Hybrid(backbone, net).eval(), classes=["cat", "dog"], preprocess=base.preprocess
    )
    return made, held


def _kinds(files: Sequence[Path]) -> Tensor:
    return torch.tensor([int(file.name.startswith("dog")) for file in files])


def _maps(base: Classifier, files: Sequence[Path]) -> Tensor:
    """The frozen backbone's maps (n, 112, 14, 14)."""
    parts = []
    for n in range(0, len(files), 32):
        pixels = [base.preprocess.pixels(load_image(file)) for file in files[n : n + 32]]
        with torch.no_grad():
            images = base.preprocess.normalise(torch.stack(pixels))
            parts.append(base.features(images))
    return torch.cat(parts).clone()


def scenes(out: Path, epochs: int, depth: int, count: int) -> tuple[Classifier, list[Path]]:
    """The plain transformer, trained or read from `out`, and scenes to measure on, with masks."""
    folder = out / "scenes"
    if not (folder / "masks").is_dir():
        (folder / "masks").mkdir(parents=True)
        for number in range(25):
            for label in FRUIT:
                scene = draw_scene(label, number, split="test", size=SIDE)
                Image.fromarray(scene.rgb).save(folder / f"{label}.{number}.png")
                mask = Image.fromarray(scene.mask.astype(np.uint8) * 255)
                mask.save(folder / "masks" / f"{label}.{number}.png")
    weights = out / "scenes.pt"
    torch.manual_seed(0)
    net = vit(SIDE, 8, 3, len(FRUIT), depth)
    if not weights.exists():
        sets = []
        for split, each in (("train", count), ("val", 50)):
            drawn = [
                draw_scene(label, n, split=split, size=SIDE).rgb
                for n in range(each)
                for label in FRUIT
            ]
            x = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 127.5 - 1
            sets.append((x, torch.arange(len(FRUIT)).repeat(each)))
        (x, y), held = sets
        fit(net, torch.cat([x, x.flip(3)]), y.repeat(2), epochs, held)
        torch.save(net.state_dict(), weights)
    net.load_state_dict(torch.load(weights, weights_only=True))
    words = f"size={SIDE} squash mean=0.5,0.5,0.5 std=0.5,0.5,0.5"
    made = load_classifier(net.eval(), classes=list(FRUIT), preprocess=words)
    return made, sorted(folder.glob("*.png"))


def box_masks(folder: Path) -> dict[str, np.ndarray]:
    """The objects' boxes of photographs with Pascal VOC files, as masks, by file name."""
    images = sorted((folder / "images").iterdir())
    refs = [ImageRef(file.absolute(), file.name) for file in images]
    found = {}
    for rel, boxes in read_boxes(folder / "boxes").match(refs).items():
        with Image.open(folder / "images" / rel) as picture:
            mask = np.zeros(picture.size[::-1], np.uint8)
        for box in boxes:
            x0, y0, x1, y1 = (round(v) for v in getattr(box, "edges", box)[:4])
            mask[y0:y1, x0:x1] = 1
        found[rel] = mask
    return found


def mosaics(files: Sequence[Path], out: Path, count: int) -> tuple[list[Path], dict[str, int]]:
    """Four photographs in one, of each kind two in a diagonal, once to ask for each of the kinds.

    Nothing in the middle of them is the object, so that a map that is warm in the middle is at
    chance: half of the heat, as half of the picture is of the kind.

    Returns:
        The pictures, and the class to ask for by name. Masks are beside them.
    """
    folder = out / "mosaics"
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    draw, index = np.random.default_rng(0), {}
    kinds = [[f for f in files if f.name.startswith(kind)] for kind in ("cat", "dog")]
    for number in range(count):
        turn = int(draw.integers(2))
        picked = [draw.choice(len(kind), 2, replace=False) for kind in kinds]
        canvas, first = np.zeros((448, 448, 3), np.uint8), np.zeros((448, 448), np.uint8)
        for cell in range(4):
            y, x = divmod(cell, 2)
            kind = (x + y + turn) % 2
            file = kinds[kind][picked[kind][y]]
            with Image.open(file) as picture:
                tile = np.asarray(
                    picture.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
                )
            place = slice(224 * y, 224 * y + 224), slice(224 * x, 224 * x + 224)
            canvas[place], first[place] = tile, 255 * (kind == 0)
        for kind, name in enumerate(("cat", "dog")):
            file = folder / f"{number:03}-{name}.png"
            Image.fromarray(canvas).save(file)
            Image.fromarray(first if kind == 0 else 255 - first).save(folder / "masks" / file.name)
            index[file.name] = kind
    return [folder / name for name in sorted(index)], index


def measure(
    classifier: Classifier,
    files: Sequence[Path],
    masks: dict[str, np.ndarray],
    methods: Sequence[str],
    *,
    index: dict[str, int] | None = None,
    faithful: bool = False,
) -> dict[str, dict[str, np.ndarray]]:
    """Each method's numbers, one a picture, by the name of the metric."""
    hows = {name: make_map_options(name) for name in methods}
    refs = [ImageRef(file.absolute(), file.name) for file in files]
    rows: dict[str, dict[str, list[float]]] = {m: {} for m in (GAUSSIAN, *methods)}
    for seen in see_photographs(classifier, refs, hows, index=index):
        maps = {GAUSSIAN: centre_gaussian(), **seen.maps}
        mask = masks.get(seen.ref.rel)
        for name, values in maps.items():
            heat = heat_on(seen.image, values)
            row = rows[name]
            if mask is not None:
                side = heat.shape[1], heat.shape[0]
                truth = np.asarray(Image.fromarray(mask).resize(side, Image.Resampling.NEAREST))
                score = average_precision_score(truth.ravel() > 0, heat.numpy().ravel())
                row.setdefault("pixel AP", []).append(score)
                total = float(heat.sum())
                inside = float(heat[torch.from_numpy(truth > 0)].sum())
                row.setdefault("share of heat", []).append(inside / total if total else 0.0)
            if faithful:
                p = probability_of(classifier, seen.index)
                row.setdefault("deletion", []).append(deletion(seen.image, heat, p))
                row.setdefault("insertion", []).append(insertion(seen.image, heat, p))
    return {m: {k: np.array(v) for k, v in row.items()} for m, row in rows.items()}


def told(title: str, rows: dict[str, dict[str, np.ndarray]]) -> list[dict[str, object]]:
    """Print means with intervals, and paired differences to token-CAM and rollout."""
    draw = np.random.default_rng(0)
    found: list[dict[str, object]] = []
    for metric in next(iter(rows.values())):
        count = len(next(iter(rows.values()))[metric])
        picks = draw.integers(count, size=(DRAWS, count))
        print(f"\n{title}, {metric}, {count} pictures")
        for method, row in rows.items():
            low, high = np.percentile(row[metric][picks].mean(1), (2.5, 97.5))
            mean = row[metric].mean()
            line = f"  {method:16} {mean:.3f} ({low:.3f}-{high:.3f})"
            record = {"set": title, "metric": metric, "method": method, "mean": mean,
                      "low": low, "high": high, "pictures": count, "minus": {}}  # fmt: skip
            for other in [name for name in REFERENCES if name in rows and name != method]:
                away = row[metric] - rows[other][metric]
                least, most = np.percentile(away[picks].mean(1), (2.5, 97.5))
                record["minus"][other] = {"mean": away.mean(), "least": least, "most": most}
                line += f"   minus {other} {away.mean():+.3f} ({least:+.3f} to {most:+.3f})"
            print(line, flush=True)
            found.append(record)
    return found


def main() -> None:
    """Train what is not trained, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of cat.N.jpg and dog.N.jpg")
    parser.add_argument("--boxes-of", type=Path, help="folder with images/ and boxes/ of dogs")
    parser.add_argument("--scenes", action="store_true", help="the drawn scenes")
    parser.add_argument("--out", type=Path, required=True, help="weights, scenes and results.json")
    parser.add_argument("--methods", default=",".join(m for m in ASKED if m in METHODS))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--each", type=int, default=500, help="scenes of each fruit to train on")
    parser.add_argument("--limit", type=int, default=100, help="held-out photographs to measure on")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    methods, found = args.methods.split(","), []
    say = partial(print, flush=True)
    if args.photos:
        began = time.process_time()
        net, held = photographs(args.photos, args.out, args.epochs, args.depth)
        say(f"hybrid ready after {time.process_time() - began:.0f} s of CPU; cut at {net.layer}")
        if args.boxes_of:
            masks = box_masks(args.boxes_of)
            files = [args.boxes_of / "images" / rel for rel in masks]
            dog = dict.fromkeys(masks, 1)
            found += told("dogs", measure(net, files, masks, methods, index=dog))
        files, asked = mosaics(held, args.out, args.limit // 2)
        masks = {f.name: np.asarray(Image.open(f.parent / "masks" / f.name)) for f in files}
        found += told("mosaics", measure(net, files, masks, methods, index=asked))
        found += told(
            "held-out photographs", measure(net, held[: args.limit], {}, methods, faithful=True)
        )
    if args.scenes:
        net, files = scenes(args.out, args.epochs, args.depth, args.each)
        masks = {f.name: np.asarray(Image.open(f.parent / "masks" / f.name)) for f in files}
        index = {f.name: FRUIT.index(f.name.split(".")[0]) for f in files}
        measured = measure(net, files, masks, methods, index=index, faithful=True)
        found += told("drawn scenes", measured)
    (args.out / "results.json").write_text(json.dumps(found, indent=1, default=float))


if __name__ == "__main__":
    main()
