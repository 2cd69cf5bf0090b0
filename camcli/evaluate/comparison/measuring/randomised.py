"""Model randomisation: the maps of a network, and of copies of it with random layers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from camcli.cam.map_options import MapOptions
from camcli.data.decode.preprocess import Fit
from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.evaluate.comparison.rows.columns import UNRELATED, MetricRow
from camcli.evaluate.measured.seen import Seen, see_photographs
from camcli.evaluate.measured.square_canvas import paint
from camcli.evaluate.metrics.means import Means
from camcli.evaluate.metrics.sanity import (
    cascade,
    layers_from_the_top,
    rank_correlation,
    ssim,
)
from camcli.models.classifier import Classifier, cut_classifier
from camcli.models.cutting.types import CutsItself
from camcli.models.load import find_device
from camcli.models.loading.checkpoint import join_checkpoints, load_checkpoint, save_checkpoint
from camcli.models.loading.zoo import build_model
from camcli.models.spec import check_output, layer_names

Copies = Iterable[tuple[str, Classifier]]


def compare_copies(
    classifier: Classifier,
    name: str,
    refs: Iterable[ImageRef],
    hows: dict[str, MapOptions],
    copies: Copies,
    *,
    seed: int = 0,
) -> list[MetricRow]:
    """Compare the maps of a network with those of its randomised copies.

    The class that the trained network predicts (or the label, where known) is explained all the
    way down.

    Args:
        classifier: the trained network.
        name: its name in the table.
        refs: photographs.
        hows: methods by name.
        copies: (last layer that is random, network), used one after the other.
        seed: of the control.

    Returns:
        One row a method: ``rank@LAYER`` (mean |Spearman|, 1: the map is unchanged) and
        ``ssim@LAYER`` for each copy; and the row `UNRELATED`, for the first copy.
    """
    refs = list(refs)
    trained = list(see_photographs(classifier, refs, hows, features=True))
    index = {seen.ref.rel: seen.index for seen in trained}
    found = Likeness(hows)
    for number, (layer, copy) in enumerate(copies):
        if number == 0:
            found.add_unrelated(layer, trained, seed)
        found.add(layer, trained, see_photographs(copy, refs, hows, index=index))
    return found.rows(name, len(trained))


class Likeness:
    """How alike the maps of two networks are, by method and comparison."""

    def __init__(self, hows: Iterable[str]) -> None:
        self._found = {method: Means() for method in (*hows, UNRELATED)}

    def add(self, what: str, trained: Iterable[Seen], others: Iterable[Seen]) -> None:
        """Compare the maps of the same photographs; `what` names the comparison.

        A photograph on which one of the networks failed is in no pair.
        """
        known = {seen.ref: seen for seen in trained}
        for after in others:
            if (before := known.get(after.ref)) is None:
                continue
            for method, heatmap in before.maps.items():
                self._add(what, method, before, heatmap, after.maps[method])

    def add_unrelated(self, what: str, trained: Iterable[Seen], seed: int) -> None:
        """The control: Σ_k w_k A_k with two draws of normal w."""
        generator = torch.Generator().manual_seed(seed)
        for seen in trained:
            assert seen.features is not None
            A = seen.features.float().cpu()
            w = torch.randn(2, len(A), generator=generator)
            one, other = torch.einsum("nk,khw->nhw", w, A).numpy()
            self._add(what, UNRELATED, seen, one, other)

    def _add(self, what: str, method: str, seen: Seen, a: np.ndarray, b: np.ndarray) -> None:
        scores = [paint(heatmap, seen.view, seen.size, "minmax") for heatmap in (a, b)]
        self._found[method].add(
            {f"rank@{what}": abs(rank_correlation(a, b)), f"ssim@{what}": ssim(*scores)}
        )

    def rows(self, model: str, count: int) -> list[MetricRow]:
        """One row a method, and the control."""
        return [
            MetricRow(model, name, count, part.compute(), {}) for name, part in self._found.items()
        ]


def copies_of_model(
    name: str,
    *,
    weights: str | Path | None = None,
    weights_key: str | None = None,
    classes: str | Path | Sequence[str] | None = None,
    offline: bool = False,
    fit: Fit | None = None,
    input_size: int | None = None,
    device: str = "auto",
    layer: str = "last",
    output: str = "auto",
    preprocess: str | None = None,
    trust_pickle: bool = False,
    stops: int = 4,
    seed: int = 0,
) -> Copies:
    """Copies of a network by its name, from one with a random head to one that knows nothing.

    It is opened at once; the copies are made as they are asked for.

    Args:
        name: as for `camcli.load_classifier`, like the options that follow.
        weights: what is destroyed.
        weights_key: which of several sets in a file of them.
        classes: names of its outputs.
        offline: never touch the network.
        fit: override how photographs are fitted to the input.
        input_size: override the side of the input.
        device: where to run them.
        layer: where to cut them.
        output: what the network returns.
        preprocess: how it wants its pixels.
        trust_pickle: whether code that its file names may run.
        stops: how many.
        seed: of the random weights.

    Raises:
        UsageError: it has no layers that could be made random.
    """
    built = build_model(
        name, weights=weights, weights_key=weights_key, offline=offline, classes=classes,
        input_size=input_size, preprocess=preprocess, output=check_output(output),
        trust_pickle=trust_pickle,
    )  # fmt: skip
    if isinstance(built.module, CutsItself):
        raise UsageError(
            f"{name} is a graph that OpenVINO runs: it has no layers that could be made random. "
            "Leave the randomisation out, or take the network that it was exported from."
        )
    looks = built.preprocess.with_(fit=fit, size=input_size)

    def copies() -> Iterator[tuple[str, Classifier]]:
        for last in cascade(layers_from_the_top(built.module), seed, stops):
            yield (
                last,
                cut_classifier(
                    built.module, classes=built.classes, preprocess=looks,
                    provenance=built.provenance, device=find_device(device),
                    layers=layer_names(layer), output=check_output(output),
                ),
            )  # fmt: skip

    return copies()


def copies_of_checkpoint(
    path: Path, load: Callable[[Path], Classifier], *, stops: int = 4, seed: int = 0
) -> Copies:
    """The same for a checkpoint of `camcli train`: each copy is written aside and opened.

    Args:
        path: of the checkpoint.
        load: opens one.
        stops: how many copies.
        seed: of the random weights.
    """
    saved = load_checkpoint(path)
    members = saved.networks()
    modules = [build_model(saved.architecture, weights="random").module for _ in members]
    for module, tensors in zip(modules, members, strict=True):
        module.load_state_dict(tensors, strict=False)
    head = nn.Linear(saved.weight.shape[1], saved.weight.shape[0])
    # What follows the cut in the architecture is not part of the checkpoint.
    layers = [
        (name, parts)
        for name, parts in layers_from_the_top(*modules)
        if any(f"{name}.{own}" in members[0] for own, _ in parts[0].named_parameters(recurse=False))
    ]
    with tempfile.TemporaryDirectory(prefix="camcli-") as folder:
        for number, last in enumerate(cascade([("head", [head]), *layers], seed, stops)):
            parts = [
                replace(
                    saved, backbone={name: module.state_dict()[name] for name in tensors},
                    weight=weight, bias=head.bias, members=1,
                )
                for module, tensors, weight in zip(
                    modules, members, head.weight.chunk(len(members), 1), strict=True
                )
            ]  # fmt: skip
            copy = Path(folder) / f"{number}.safetensors"
            save_checkpoint(copy, join_checkpoints(parts) if len(parts) > 1 else parts[0])
            yield last, load(copy)
            copy.unlink()
