"""A checkpoint's tensors put into the network that they are of, and cut with its own head.

What a file does not have would stay as the network was built, with random weights, and nobody would
see it: so all that comes before the cut must be there, and the head must fit on what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from camcli.errors import CamcliError
from camcli.models.cutting.cut import Cut, NoPoolingError, cut
from camcli.models.cutting.types import Head
from camcli.models.pooling.pooling import Pooling
from camcli.models.spec import LAST
from camcli.models.weights.mismatch import listed
from camcli.models.weights.state_dict import COUNTER


def fill_backbone(
    module: nn.Module, tensors: Mapping[str, Tensor], path: Path, architecture: str
) -> list[str]:
    """Put a checkpoint's tensors where they belong.

    Args:
        module: the network, as it was built.
        tensors: of its backbone, by the network's names.
        path: of the checkpoint.
        architecture: the network's name.

    Returns:
        The network's tensors that the checkpoint does not have.

    Raises:
        CamcliError: the network has no place for one of them.
    """
    state = module.state_dict()
    fits = {n: t for n, t in tensors.items() if n in state and state[n].shape == t.shape}
    if len(fits) < len(tensors):
        odd = sorted(set(tensors) - set(fits))[:3]
        raise CamcliError(
            f"{path} does not fit {architecture} as this machine builds it: {', '.join(odd)}."
        )
    module.load_state_dict(fits, strict=False)
    return [name for name in state if name not in fits and not name.endswith(COUNTER)]


def cut_with_head(
    module: nn.Module,
    shape: int | tuple[int, int, int],
    layers: Sequence[str],
    head: Head,
    missing: Sequence[str],
    path: Path,
    pooling: Pooling,
) -> Cut:
    """Cut a network and put a checkpoint's head in place of its own.

    Args:
        module: the network.
        shape: of its input in pixels, as `cut` takes it.
        layers: where to cut it.
        head: of the checkpoint.
        missing: what `fill_backbone` returned.
        path: of the checkpoint.
        pooling: what the head is given.

    Raises:
        CamcliError: a missing tensor comes before the cut, or the head does not fit; also what
            `cut` raises.
    """
    # A head that is one layer, the network's last, is what a checkpoint leaves out; only for
    # others does the cut have to say what follows it.
    last = next(reversed(module.state_dict())).rpartition(".")[0]
    before = [name for name in missing if name.rpartition(".")[0] != last]
    own = None
    if before:
        own = cut(module, shape)
        if isinstance(own.tail, nn.Module):
            after = set(own.tail.state_dict())
            before = [name for name in before if name not in after]
        else:  # cut by hooks, which do not tell: more than half of it would be no head
            before = before if 2 * len(before) > len(module.state_dict()) else []
    if before:
        raise CamcliError(f"{path} is damaged: its tensors lack {listed(before)}.")
    channels = head.channels
    try:
        made = cut(module, shape, layers, head=head, pooling=None if pooling.plain else pooling)
    except NoPoolingError as error:
        raise CamcliError(
            f"{path} is damaged: its head is on {pooling}, which its network has not: {error}"
        ) from error
    except RuntimeError as error:
        raise CamcliError(
            f"{path} is damaged: its head is for {channels} channels, and its network has others."
        ) from error
    (first, *_) = made.places
    if first.tail is head and tuple(layers) == (LAST,) and first.shape[0] != channels:
        raise CamcliError(
            f"{path} is damaged: its head is for {channels} channels, and its network has "
            f"{first.shape[0]}."
        )
    return made
