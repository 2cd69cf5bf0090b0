"""Preprocessing that is code of the user's own, run as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from camcli.data.decode.preprocess import ALL_PIXELS, Preprocess, View
from camcli.errors import ImageError, UsageError

if TYPE_CHECKING:  # see `camcli.data.decode.preprocess`
    from torch import Tensor

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class AsItIs(Preprocess):
    """A callable that makes the network's input of a PIL picture, run as it is.

    Attributes:
        transform: PIL picture -> tensor (C, H, W).
        made: (C, H, W) that it makes of a photograph.
    """

    transform: Callable[[Any], Any] = field(default=lambda picture: picture, repr=False)
    made: tuple[int, int, int] = (3, 224, 224)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the network's input."""
        return self.made

    @property
    def channels(self) -> int:
        """Of the network's input."""
        return self.made[0]

    def view(self, width: int, height: int) -> View:
        """All of it: what a callable leaves out nobody knows."""
        return 0.0, 0.0, float(width), float(height)

    def pixels(self, rgb: np.ndarray, size: tuple[int, int] | None = None) -> Tensor:
        """What the callable makes: (C, H, W) float32.

        Raises:
            ImageError: it fails, or makes something else.
        """
        try:
            made = self.transform(Image.fromarray(rgb))
        except Exception as error:  # whatever is in the user's code
            raise ImageError(
                f"the preprocess that was given fails: {type(error).__name__}: {error}"
            ) from error
        return as_tensor(made)

    def enough(self) -> int:
        """All of them."""
        return ALL_PIXELS

    def normalise(self, pixels: Tensor) -> Tensor:
        """Nothing is left to do: (B, C, H, W) float32."""
        return pixels.float()

    def with_(self, **changes: Any) -> Preprocess:
        """Itself: it decides on size and fit.

        Raises:
            UsageError: they are to be others.
        """
        if any(value is not None for value in changes.values()):
            named = " and ".join(name for name, value in changes.items() if value is not None)
            raise UsageError(
                f"The preprocess that was given is run as it is and decides on {named} itself: "
                "change it there."
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Its text, for ``run.json``: a run that goes on must have the same."""
        # Of a function, where it lay in memory says nothing.
        text = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(repr(self.transform).split()))
        text = text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
        return {"transform": text, "shape": list(self.made), "told": f"run as it is: {text}"}


def as_tensor(made: Any) -> Tensor:
    """What a callable made of a picture, as a tensor (C, H, W) float32.

    Args:
        made: that, or an array, a batch of one, or Hugging Face's ``pixel_values``.

    Raises:
        ImageError: it is something else.
    """
    import torch

    values = made.get("pixel_values") if isinstance(made, Mapping) else made
    if isinstance(values, list) and len(values) == 1:
        values = values[0]
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(values)
    if isinstance(values, torch.Tensor) and values.ndim == 4 and len(values) == 1:
        values = values[0]
    if not isinstance(values, torch.Tensor) or values.ndim != 3 or values.dtype == torch.uint8:
        shape = getattr(values, "shape", None)
        what = type(values).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")
        raise ImageError(
            f"the preprocess makes a {what} of a picture, and a tensor of floats (C, H, W) is "
            "needed."
        )
    return values.detach().float().as_subclass(torch.Tensor)
