"""OpenVINO as a runtime: what it can take, and the way from torch's network to its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from torch import nn

from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.models.cutting.graph.pieces import goes_by_values
from camcli.models.pooling.network import PooledMaps
from camcli.models.runtime import int8, openvino
from camcli.models.runtime.conversion_cache import kept, name_of
from camcli.models.runtime.eager import SIXTEEN
from camcli.models.runtime.openvino import Converted, OpenVino
from camcli.models.runtime.openvino_core import core
from camcli.models.runtime.protocol import Forward, Made, Wanted
from camcli.printable import counted

# Fewer images than this, masked ones included, are done before the network has been converted and
# has paid for it.
WORTH_IT = 200


class OnOpenVino:
    """OpenVINO, for CPUs."""

    name = "openvino"

    @property
    def worth(self) -> int:
        """As `Runtime.worth`."""
        return WORTH_IT

    def version(self) -> str:
        """OpenVINO's."""
        return version("openvino")

    def refuses(self, device: str, precision: str) -> CamcliError | None:
        """As `Runtime.refuses`; the device itself is another matter."""
        return UsageError(SIXTEEN) if precision == "float16" else None

    def why_not(self, wanted: Wanted) -> CamcliError | None:
        """As `Runtime.why_not`."""
        if importlib.util.find_spec("openvino") is None:
            return UnavailableError(
                "OpenVINO is not installed: `pip install openvino` brings it, or use --runtime "
                "torch."
            )
        if wanted.device != "cpu":
            return UsageError(
                f"OpenVINO runs on the CPU here, not on {wanted.classifier.device}: add --device "
                "cpu, or use --runtime torch."
            )
        if not isinstance(wanted.backbone, nn.Module) or goes_by_values(wanted.backbone):
            return UsageError(
                f"OpenVINO cannot take {wanted.classifier.provenance.name}: its graph cannot be "
                "traced. Use --runtime torch."
            )
        if wanted.precision == "bfloat16" and "BF16" not in core().get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            return UsageError("This processor does not compute in bfloat16: leave --precision out.")
        return None

    def make(self, wanted: Wanted) -> Made:
        """As `Runtime.make`; of int8 a sample of the images is compared afterwards."""
        classifier, backbone, shape = (
            wanted.classifier, wanted.backbone, wanted.classifier.preprocess.shape
        )  # fmt: skip
        assert isinstance(backbone, nn.Module)
        finish: Callable[[Forward], Forward] = lambda run: run  # noqa: E731
        pooled = wanted.backbone
        if wanted.precision != "float32" and isinstance(pooled, PooledMaps):
            # Squares, cubes and maxima of few bits are far off: torch makes them, in float32.
            backbone, finish = pooled.first, pooled.behind
        pixels = []
        if wanted.precision == "int8":
            pixels = int8.sample(wanted.images, classifier.preprocess)

        def made() -> Converted:
            wanted.say(f"Converting {classifier.provenance.name} to OpenVINO ...")
            return openvino.convert(backbone, shape)

        def converted() -> Converted:
            return kept("openvino", name_of(backbone, shape), made)

        if not pixels:
            return Made(finish(OpenVino(converted(), shape, wanted.precision)))
        wanted.say(f"Calibrating int8 on {counted(len(pixels), 'image')} ...")
        network = int8.quantised(converted, classifier, backbone, pixels)
        compiled = finish(OpenVino(network, shape, wanted.precision))
        return Made(compiled, partial(int8.compared, classifier, pixels=pixels))


OPENVINO = OnOpenVino()
