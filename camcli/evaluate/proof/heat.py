"""How much of what decides for a class, rather than for the runner-up, lies on a suspect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from camcli.batch.batch_size import START, by_halves
from camcli.cam.explainer import check_influence, maps_of
from camcli.cam.map_options import make_map_options
from camcli.cam.margins import without_margins
from camcli.data.decode.preprocess import View, stacked
from camcli.errors import CamcliError, ImageError
from camcli.evaluate.findings.finding import HeatShare
from camcli.evaluate.findings.suspect import Region
from camcli.evaluate.measured.square_canvas import SIDE, fill, paint
from camcli.evaluate.proof.asking import SaidClass
from camcli.models.classifier import Classifier

MOST = 24  # photographs: a mean that is told in whole per cent needs no more
WIDEST = 0.9  # of the picture: on what is nearly everywhere, heat says nothing
# (w_a - w_b)·A where the network ends in a linear head; elsewhere gradient times features, which
# says exactly the same of it.
METHOD = "hirescam"


def heat_share(
    classifier: Classifier, said: SaidClass, seen: Sequence[tuple[np.ndarray, Region | None]]
) -> HeatShare | None:
    """Share of the positive evidence of the difference to the runner-up on a suspect's places.

    Of a network of labels it is the evidence of the label alone, which no other excludes.

    Args:
        classifier: the network.
        said: the class.
        seen: pixels (H, W, 3) uint8 of photographs, and where the suspect is in them.

    Returns:
        None where it is nowhere in particular, in what the network does not see, or where no map
        can be made of this network.
    """
    placed = [
        (rgb, region) for rgb, region in seen
        if region is not None and _area(region, *_view(classifier, rgb)) < WIDEST
    ][:MOST]  # fmt: skip
    if said.denied or not placed:
        return None
    try:
        check_influence(make_map_options(METHOD, score="logit"), classifier)
        maps = _maps(classifier, said, [rgb for rgb, _ in placed])
    except CamcliError:  # no gradients, or a layer that does not matter: there is no such map
        return None
    shares, areas = [], []
    for heatmap, (rgb, region) in zip(maps, placed, strict=True):
        view, size = _view(classifier, rgb)
        found = None if heatmap is None or region is None else share_on(heatmap, view, size, region)
        if found is not None:
            shares.append(found[0])
            areas.append(found[1])
    if not shares:
        return None
    return HeatShare(float(np.mean(shares)), float(np.mean(areas)), len(shares))


def share_on(
    heatmap: np.ndarray, view: View, size: tuple[int, int], region: Region
) -> tuple[float, float] | None:
    """Share of a map's positive part on a region, and the region's share of what is seen.

    Args:
        heatmap: (h, w), signed.
        view: what it covers, in pixels of the photograph.
        size: (width, height) of the photograph.
        region: a place in the photograph.

    Returns:
        None for a map without positive evidence, and for a region that is not seen at all.
    """
    heat = paint(without_margins(heatmap, view, size), view, size)
    area, total = _area(region, view, size), float(heat.sum())
    if total <= 0 or area <= 0:
        return None
    return float(heat[fill(np.array([region]) * SIDE)].sum()) / total, area


def _view(classifier: Classifier, rgb: np.ndarray) -> tuple[View, tuple[int, int]]:
    size = rgb.shape[1], rgb.shape[0]
    return classifier.preprocess.view(*size), size


def _area(region: Region, view: View, size: tuple[int, int]) -> float:
    """A region's share of the part of a photograph that the network sees."""
    width, height = size
    left, right = max(view[0], 0.0) / width, min(view[2], width) / width
    top, bottom = max(view[1], 0.0) / height, min(view[3], height) / height
    across = max(0.0, min(region[2], right) - max(region[0], left))
    down = max(0.0, min(region[3], bottom) - max(region[1], top))
    return across * down / ((right - left) * (bottom - top))


def _maps(
    classifier: Classifier, said: SaidClass, pictures: Sequence[np.ndarray]
) -> list[np.ndarray | None]:
    """Maps (h, w) of the class against the runner-up; None where there is none of a picture."""
    pixels = [classifier.preprocess.pixels(rgb) for rgb in pictures]
    groups: dict[object, list[int]] = {}
    for n, one in enumerate(pixels):
        groups.setdefault(one.shape, []).append(n)
    maps: dict[int, np.ndarray] = {}

    def work(which: Sequence[int]) -> list[np.ndarray]:
        look = classifier.look(stacked([pixels[n] for n in which]))
        target = torch.full((len(which),), said.index, device=classifier.device)
        if said.output.multi_label or said.output.kind == "binary":
            # Of two columns (-z, z) the difference is twice either.
            rivals: list[int | None] = [None] * len(which)
        else:
            others = look.logits.clone()
            others[:, said.index] = -torch.inf
            rivals = others.argmax(1).tolist()
        rows: dict[int, np.ndarray] = {}
        for rival in set(rivals):
            how = replace(make_map_options(METHOD, score="logit"), versus=rival)
            made = maps_of(classifier, look, target, how).float().cpu().numpy()
            rows |= {n: made[n] for n, own in enumerate(rivals) if own == rival}
        return [rows[n] for n in range(len(which))]

    for group in groups.values():
        for start in range(0, len(group), START):
            part = group[start : start + START]
            outcomes = by_halves(work, part, classifier.device, lambda n: f"picture {n}")
            for n, made in zip(part, outcomes, strict=True):
                if not isinstance(made, ImageError) and np.isfinite(made).all():
                    maps[n] = made
    return [maps.get(n) for n in range(len(pictures))]
