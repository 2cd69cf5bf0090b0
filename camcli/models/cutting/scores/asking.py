"""What a network says of trial images, before it is cut."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from camcli.errors import CamcliError, UsageError, out_of_memory
from camcli.models.cutting.graph.fx_graph import PROBE
from camcli.models.cutting.purity import check_steady, noticing_chance
from camcli.models.cutting.scores.answers import Answering, scores_in
from camcli.models.outputs import rows_of, what_else
from camcli.models.weights.finite import not_finite
from camcli.printable import shortened

Shape = tuple[int, int, int]


def shape_of(size: int | Shape) -> Shape:
    """(channels, height, width) of images of a size."""
    return (3, size, size) if isinstance(size, int) else size


def answered(model: nn.Module, size: int | Shape) -> tuple[nn.Module, Tensor, Tensor, bool]:
    """What a network says of trial images.

    Noise around zero, as normalised pictures are; where it has no answer for such, as one that
    takes a logarithm has not, noise between 0 and 1.

    Args:
        model: in eval mode.
        size: as `camcli.models.cutting.cut.cut` takes it.

    Returns:
        The network, returning its scores alone; the images; its scores of them, (n, C); and
        whether it writes into its input.

    Raises:
        UsageError: it does not take images of this size.
        CamcliError: it answers something else, or by chance, or what is no number.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(PROBE, *shape_of(size), generator=generator)
    model, logits, writes = _answer(model, images)
    if not bool(torch.isfinite(logits).all()):
        positive = torch.rand(images.shape, generator=generator)
        model, others, writes = _answer(model, positive)
        if not bool(torch.isfinite(others).all()):
            raise CamcliError(_why(model, positive))
        images, logits = positive, others
    return model, images, logits, writes


def _answer(model: nn.Module, images: Tensor) -> tuple[nn.Module, Tensor, bool]:
    given = images.clone()
    try:
        with noticing_chance() as chance:
            out = model(given)
    except torch.OutOfMemoryError:
        raise
    except (AssertionError, RuntimeError) as error:  # a transformer's positions, a flattened map
        if out_of_memory(error):  # a limit on this process: torch has no type of its own for it
            raise MemoryError(str(error)) from error
        height, width = images.shape[2:]
        lines = str(error).strip().splitlines() or [repr(error)]
        reason = shortened(lines[-1]).rstrip(".!")
        raise UsageError(
            f"The network cannot look at {height}x{width} pixels ({reason}): "
            "leave --input-size out, or give the side that it is built for."
        ) from error
    scores, part = scores_in(out, len(images))
    logits = rows_of(scores, len(images))
    if logits is None:
        raise CamcliError(
            "The network must return logits of shape (B, C) for a batch of images; it returned "
            f"{what_else(out)}."
        )
    if part:
        model = Answering(model, part)
    if any(chance):
        check_steady(model, images)
    return model, logits, not torch.equal(given, images)


def _why(model: nn.Module, images: Tensor) -> str:
    """Why a network's answer is no number: its weights, or else where it begins."""
    held = not_finite([*model.named_parameters(), *model.named_buffers()])
    if held is not None:
        name, what = held
        return (
            f"The network has no answer, since {name} holds {what}: its training diverged, or the "
            "file is damaged."
        )
    first: list[str] = []

    def watch(name: str, out: object) -> None:
        if not first and isinstance(out, Tensor) and not bool(torch.isfinite(out).all()):
            first.append(name)

    handles = [
        module.register_forward_hook(lambda m, given, out, name=name: watch(name, out))
        for name, module in model.named_modules()
        if name
    ]
    try:
        model(images.clone())
    finally:
        for handle in handles:
            handle.remove()
    where = f", from {first[0]!r} on" if first else ""
    return (
        f"The network answers NaN or infinity for noise between 0 and 1, and for noise around "
        f"0{where}: its weights are those of no training, or it divides by what may be zero."
    )
