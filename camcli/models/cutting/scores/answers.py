"""The scores in what a network returns: a tensor, or what libraries and habits put around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx, nn

from camcli.models.outputs import rows_of

# What the scores are called among other things, the surest first.
_NAMES = ("logits", "class_logits", "cls_logits", "scores", "pred", "preds", "predictions", "out",
          "output", "outputs", "cls", "main")  # fmt: skip

# Under this name a program that was made a network keeps which part of its answer it returns.
SCORES = "scores"


def scores_in(out: Any, count: int) -> tuple[Any, str]:
    """The scores (count, C) in what a network returned, and how they were found.

    A tensor is returned as it is. Of a dict, a `ModelOutput`, a tuple or a list the part is taken
    that is called ``logits`` or the like, or else the only one that has a row of scores for each
    picture; of several of one shape, as with auxiliary heads, the first.

    Args:
        out: the network's answer.
        count: the number of pictures.

    Returns:
        The part, or `out` itself where none is the scores; and its name for a note, "" for none.
    """
    if isinstance(out, Tensor | fx.Proxy):
        return out, ""
    parts = parts_of(out)
    fitting = {name: part for name, part in parts.items() if _fits(part, count)}
    for name in _NAMES:
        if name in fitting:
            return fitting[name], name
    wide = {name: part for name, part in fitting.items() if part.ndim >= 2} or fitting
    shapes = {tuple(part.shape) for part in wide.values()}
    if len(shapes) != 1:
        return out, ""
    name = next(iter(wide))
    return wide[name], name


def parts_of(out: Any) -> dict[str, Any]:
    """What a network returned together, by name or by number; empty for one thing alone."""
    if isinstance(out, Mapping):
        return {str(key): value for key, value in out.items()}
    if isinstance(out, tuple | list):
        names = getattr(out, "_fields", None) or [str(n) for n in range(len(out))]
        found = dict(zip(names, out, strict=False))
        if len(found) == 1 and isinstance(out[0], Mapping | tuple | list):
            return parts_of(out[0])
        return found
    if isinstance(out, str | bytes | int | float | type(None)):
        return {}
    return dict(getattr(out, "__dict__", {}))


def _fits(part: Any, count: int) -> bool:
    return isinstance(part, Tensor) and part.ndim > 0 and rows_of(part, count) is not None


def shown_part(name: str) -> str:
    """A part's name in a sentence."""
    return f"number {name}" if name.isdigit() else repr(name)


class Answering(nn.Module):
    """A network as a function of images alone that returns its scores and nothing else.

    It has the network's own modules, under their own names, and shares everything with it. What
    `forward` takes besides images is left at its default.
    """

    def __init__(self, model: nn.Module, part: str = "") -> None:
        """Of a network, and the name of the part of its answer (`scores_in`); "" for all of it."""
        super().__init__()
        self.__dict__.update(model.__dict__)
        self.__dict__.pop("forward", None)
        # Not an attribute of a module's, which would make it a child.
        self.__dict__["_answering"] = (model, part)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of images (B, C, H, W)."""
        model, part = self.__dict__["_answering"]
        # A call of the root is none of a module in it; its hooks are seen to be missing, then.
        out = model.forward(images) if isinstance(images, fx.Proxy) else model(images)
        if not part:
            return out
        return parts_of(out)[part]

    def train(self, mode: bool = True) -> Answering:
        """Also the network itself, which asks its own mode."""
        super().train(mode)
        self.__dict__["_answering"][0].training = mode
        return self
