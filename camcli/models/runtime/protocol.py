"""What a runtime is: something that can stand in a backbone's place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from camcli.errors import CamcliError
from camcli.models.classifier import Classifier

if TYPE_CHECKING:
    from camcli.models.runtime.int8 import Agreement

Forward = Callable[[Tensor], Any]
"""Normalised images (B, 3, H, W) -> A, or tuples of tensors."""


@dataclass(frozen=True)
class Wanted:
    """What is to run where.

    Attributes:
        classifier: the network; its device is where it lives.
        backbone: its way from images to A, in torch.
        precision: what to compute in.
        images: references of what will be looked at, for a sample; may be empty.
        say: takes sentences on what takes long.
    """

    classifier: Classifier
    backbone: Forward
    precision: str
    images: Iterable[Any]
    say: Callable[[str], None]

    @property
    def device(self) -> str:
        """The type of device, such as ``cuda``."""
        return self.classifier.device.type


@dataclass(frozen=True)
class Made:
    """A backbone in another runtime.

    Attributes:
        run: in the backbone's place; the backbone itself where nothing is to be changed.
        agree: compares the classifier that runs it with torch on more than the first images, and
            raises where it is too far off; None where the first images suffice.
    """

    run: Forward
    agree: Callable[[Classifier], Agreement] | None = None


class Runtime(Protocol):
    """Runs backbones; see `camcli.models.runtime.registry`."""

    @property
    def name(self) -> str:
        """As people say it, and as the registry has it."""

    @property
    def worth(self) -> int:
        """How many images, masked ones included, pay for its start; `auto` asks. 0: it has none."""

    def version(self) -> str:
        """Of the library that runs it, for ``run.json``."""

    def refuses(self, device: str, precision: str) -> CamcliError | None:
        """What keeps it from a precision on a type of device; None if nothing does."""

    def why_not(self, wanted: Wanted) -> CamcliError | None:
        """What else keeps it from a network: it is not installed, say; None if nothing does."""

    def make(self, wanted: Wanted) -> Made:
        """Convert, compile or wrap a backbone, which is left alone.

        Raises:
            CamcliError: it cannot be; any other error is taken for a fault in the conversion.
        """


def flat(out: Any) -> list[Tensor]:
    """The tensors that a backbone returns, one or tuples of them."""
    return [out] if isinstance(out, Tensor) else [tensor for row in out for tensor in row]
