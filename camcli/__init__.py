"""camcli: where a classifier looked and what it said, for one image or whole folders.

The Python API gives the same Results as the commands:

    >>> import camcli
    >>> classifier = camcli.load_classifier()                      # the bundled EfficientNet-Lite0
    >>> result = camcli.explain("cat.jpg", classifier)             # doctest: +SKIP
    >>> result.pred, result.heats[0].heatmap.shape                 # doctest: +SKIP
    ('Egyptian cat', (7, 7))

Names are looked up when they are first used, so that ``import camcli`` does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from camcli.api import batch, explain
    from camcli.cam.methods import METHODS
    from camcli.models.classifier import Classifier, load_classifier
    from camcli.result import Heat, Result

__version__ = "0.1.0"
__all__ = [
    "METHODS",
    "Classifier",
    "Heat",
    "Result",
    "__version__",
    "batch",
    "explain",
    "load_classifier",
]

_HOMES = {
    "METHODS": "camcli.cam.methods",
    "Classifier": "camcli.models.classifier",
    "Heat": "camcli.result",
    "Result": "camcli.result",
    "batch": "camcli.api",
    "explain": "camcli.api",
    "load_classifier": "camcli.models.classifier",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'camcli' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
