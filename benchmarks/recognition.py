"""Recognise every classifier of torchvision and of timm from its tensors, as people change them.

    python benchmarks/recognition.py                  # all of torchvision's, 300 of timm's
    python benchmarks/recognition.py --timm 2000      # all of timm's, too

Each is built without memory, with 7 classes, and its names and shapes are given to
`camcli.models.recognition.recognise`: as they are, with another head, without one, behind a
prefix, without counters, for other channels. It is right if an answer has the network's name, or
builds the same tensors; how often it is the first answer is told, too, and the time.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import nn

from camcli.models.recognition.blueprints import timm_blueprints, torchvision_blueprints
from camcli.models.recognition.described import Blueprint
from camcli.models.recognition.forest import COUNTER, Sizes
from camcli.models.recognition.index import Architecture, shipped
from camcli.models.recognition.recognise import recognise
from camcli.models.recognition.unallocated import shapes_of, without_memory

Shapes = dict[str, Sizes]


def two_layers(shapes: Shapes, each: Architecture) -> Shapes | None:
    """Linear, ReLU, Linear in the place of the last layer, where that is linear."""
    name = f"{each.heads[0]}weight"
    if len(each.heads) > 1 or len(shapes.get(name, ())) != 2:
        return None
    features = shapes[name][1]
    changed = {n: s for n, s in shapes.items() if not n.startswith(each.heads[0])}
    for part, (rows, width) in {"0": (64, features), "3": (7, 64)}.items():
        changed[f"{each.heads[0]}{part}.weight"] = (rows, width)
        changed[f"{each.heads[0]}{part}.bias"] = (rows,)
    return changed


def renamed_head(shapes: Shapes, each: Architecture) -> Shapes | None:
    """The backbone within a network of one's own, and a head under another name."""
    name = f"{each.heads[0]}weight"
    if len(each.heads) > 1 or len(shapes.get(name, ())) != 2:
        return None
    body = {f"encoder.{n}": s for n, s in shapes.items() if not n.startswith(each.heads[0])}
    return {**body, "last_linear.weight": (7, shapes[name][1]), "last_linear.bias": (7,)}


def headless(shapes: Shapes, each: Architecture) -> Shapes:
    """A backbone alone."""
    return {n: s for n, s in shapes.items() if not n.startswith(each.heads)}


def prefixed(shapes: Shapes, each: Architecture) -> Shapes:
    """Within others, beside a loss of its own."""
    return {**{f"model.backbone.{n}": s for n, s in shapes.items()}, "criterion.weight": (7,)}


def uncounted(shapes: Shapes, each: Architecture) -> Shapes:
    """Without BatchNorm's counters and without heads that only help training."""
    return {n: s for n, s in shapes.items() if COUNTER not in n and not n.startswith(each.helping)}


FORMS: dict[str, Callable[[Shapes, Architecture], Shapes | None]] = {
    "7 classes": lambda shapes, each: shapes,
    "two layers": two_layers,
    "another name": renamed_head,
    "no head": headless,
    "prefix": prefixed,
    "no counters": uncounted,
}


def blueprints(most: int) -> Iterator[Blueprint]:
    """Torchvision's, and so many of timm's, evenly over its names."""
    yield from torchvision_blueprints()
    known = {each.name for each in shipped().architectures if each.library == "timm"}
    timms = [each for each in timm_blueprints() if each.name in known]
    step = max(1, len(timms) / most)
    yield from (timms[int(i * step)] for i in range(min(most, len(timms))))


def states(blueprint: Blueprint) -> Iterator[tuple[str, nn.Module]]:
    """The network with 7 classes, and for luminance where the library takes that."""
    yield "", without_memory(lambda: blueprint.build(7, None, None))
    try:
        grey = without_memory(lambda: blueprint.build(7, 1, None))
    except Exception:
        return
    yield "1 channel", grey


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--timm", type=int, default=300)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    # Reading the index, once, is not measured.
    by_name = {(each.library, each.name): each for each in shipped().architectures}
    told: dict[str, list[int]] = {}
    slowest = 0.0
    for blueprint in blueprints(options.timm):
        each = by_name[blueprint.library, blueprint.name]
        for variant, module in states(blueprint):
            shapes = shapes_of(module)
            forms = {variant: FORMS["7 classes"]} if variant else FORMS
            for form, change in forms.items():
                changed = change(shapes, each)
                if changed is None:
                    continue
                started = time.process_time()
                answers = [one.architecture for one in recognise(changed)]
                slowest = max(slowest, time.process_time() - started)
                right = [a for a in answers if a.root == each.root]
                first = bool(answers) and answers[0].root == each.root
                counts = told.setdefault(form, [0, 0, 0])
                counts[0] += 1
                counts[1] += bool(right)
                counts[2] += first
                if not right:
                    named = ", ".join(a.written for a in answers[:3]) or "nothing"
                    print(f"{each.written}, {form}: {named}")
    print(f"{'':14} networks  among the answers  the first answer or of its tensors")
    for form, (count, right, first) in told.items():
        print(f"{form:14} {count:8} {right:18} {first:18}")
    print(f"the slowest took {slowest:.2f} s of a core")


if __name__ == "__main__":
    main()
