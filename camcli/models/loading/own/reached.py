"""A network that is run only as far as someone wants to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class ReachedError(Exception):
    """What was to be seen has been: nothing after it matters. Raised by a hook."""


def run_until_reached(module: nn.Module, images: Tensor, hooks: Sequence[Any]) -> None:
    """Run a network until a hook raises `ReachedError`, or its own code fails.

    Args:
        module: is left as it is.
        images: its input.
        hooks: handles of what was registered for this run; they are taken off again.
    """
    try:
        with torch.inference_mode():
            module(images)
    except Exception:  # the one above, or whatever is in the user's code
        pass
    finally:
        for hook in hooks:
            hook.remove()
