"""Run the sanity check: a network is randomised step by step and its maps compared."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from camcli.cam.look import How
from camcli.data.preprocess import Fit
from camcli.data.sources import ImageRef
from camcli.evaluate.canvas import paint
from camcli.evaluate.compare import Row
from camcli.evaluate.localization import Means
from camcli.evaluate.maps import Seen, see_photographs
from camcli.evaluate.sanity import cascade, rank_correlation, ssim
from camcli.models.classifier import cut_classifier, find_device
from camcli.models.zoo import build_model


def randomise_and_compare(
    model: str,
    refs: Iterable[ImageRef],
    hows: dict[str, How],
    *,
    fit: Fit | None = None,
    input_size: int | None = None,
    device: str = "auto",
    offline: bool = False,
    stops: int = 4,
    seed: int = 0,
) -> list[Row]:
    """Compare the maps of a network with those of its randomised copies.

    The class that the trained network predicts (or the label, where known) is explained all the
    way down.

    Args:
        model: name of the network; it is built anew, because its weights are destroyed.
        refs: photographs.
        hows: methods by name.
        fit: override how photographs are fitted to the input.
        input_size: override the side of the input.
        device: where to run it.
        offline: never touch the network.
        stops: how many steps, from the head alone to everything.
        seed: of the random weights.

    Returns:
        One row a method: ``rank@LAYER`` (mean |Spearman|, 1: the map is unchanged) and
        ``ssim@LAYER`` for each step, named by the last layer that was randomised.

    Raises:
        UsageError: no such model.
    """
    refs = list(refs)
    where = find_device(device)
    built = build_model(model, offline=offline)
    changes = {"fit": fit, "size": input_size}
    preprocess = built.preprocess.with_(**{k: v for k, v in changes.items() if v is not None})

    def look(index: dict[str, int] | None) -> list[Seen]:
        classifier = cut_classifier(
            built.module, classes=built.classes, preprocess=preprocess,
            provenance=built.provenance, device=where,
        )  # fmt: skip
        return list(see_photographs(classifier, refs, hows, index=index))

    trained = look(None)
    index = {seen.ref.rel: seen.index for seen in trained}
    means = {name: Means() for name in hows}
    found: dict[str, list[dict[str, float]]] = {name: [{} for _ in trained] for name in hows}
    for layer, _ in cascade(built.module, seed, stops):
        for n, (before, after) in enumerate(zip(trained, look(index), strict=True)):
            for name in hows:
                maps = [s.maps[name] for s in (before, after)]
                scores = [paint(m, s.view, s.size, "minmax") for m, s in
                          zip(maps, (before, after), strict=True)]  # fmt: skip
                found[name][n][f"rank@{layer}"] = abs(rank_correlation(*maps))
                found[name][n][f"ssim@{layer}"] = ssim(*scores)
    for name, rows in found.items():
        for row in rows:
            means[name].add({k: v for k, v in row.items() if np.isfinite(v)})
    return [Row(model, name, len(trained), part.compute(), {}) for name, part in means.items()]
