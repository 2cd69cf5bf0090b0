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

import os
import sys
from typing import TYPE_CHECKING, Any

# Threads of OpenMP that wait are to sleep, not to spin: where other programs want the cores, or
# decoding threads do, spinning costs twice the seconds of the processor (benchmarks/start.py).
# OpenMP reads this when torch is imported; whoever has said how to wait is left alone.
_SAID = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
if "torch" not in sys.modules and not any(name in os.environ for name in _SAID):
    os.environ["OMP_WAIT_POLICY"] = "passive"

# What Apple's GPUs have no code for runs on the CPU, instead of ending the run.
if sys.platform == "darwin":
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

if TYPE_CHECKING:
    from camcli.api import batch, concepts, explain, layers
    from camcli.api_apply import apply
    from camcli.api_check import check
    from camcli.api_evaluate import audit, evaluate
    from camcli.api_inspect import inspect
    from camcli.api_load import load_classifier
    from camcli.api_report import report
    from camcli.api_train import train
    from camcli.cam.methods import METHODS
    from camcli.data.decode.preprocess import Preprocess
    from camcli.data.marked.result import ApplyResult
    from camcli.evaluate.audit.result import AuditResult
    from camcli.evaluate.check.result import CheckResult
    from camcli.evaluate.comparison.result.result import EvaluationResult
    from camcli.jobs.model import ModelJob
    from camcli.models.classifier import Classifier
    from camcli.result import Heat, Result
    from camcli.train.config import TrainConfig
    from camcli.train.result import TrainResult

__version__ = "0.2.0"
__all__ = [
    "METHODS",
    "ApplyResult",
    "AuditResult",
    "CheckResult",
    "Classifier",
    "EvaluationResult",
    "Heat",
    "ModelJob",
    "Preprocess",
    "Result",
    "TrainConfig",
    "TrainResult",
    "__version__",
    "apply",
    "audit",
    "batch",
    "check",
    "concepts",
    "evaluate",
    "explain",
    "inspect",
    "layers",
    "load_classifier",
    "report",
    "train",
]

HOMES = {
    "METHODS": "camcli.cam.methods",
    "ApplyResult": "camcli.data.marked.result",
    "AuditResult": "camcli.evaluate.audit.result",
    "CheckResult": "camcli.evaluate.check.result",
    "Classifier": "camcli.models.classifier",
    "EvaluationResult": "camcli.evaluate.comparison.result.result",
    "Heat": "camcli.result",
    "ModelJob": "camcli.jobs.model",
    "Preprocess": "camcli.data.decode.preprocess",
    "Result": "camcli.result",
    "TrainConfig": "camcli.train.config",
    "TrainResult": "camcli.train.result",
    "apply": "camcli.api_apply",
    "audit": "camcli.api_evaluate",
    "batch": "camcli.api",
    "check": "camcli.api_check",
    "concepts": "camcli.api",
    "evaluate": "camcli.api_evaluate",
    "explain": "camcli.api",
    "inspect": "camcli.api_inspect",
    "layers": "camcli.api",
    "load_classifier": "camcli.api_load",
    "report": "camcli.api_report",
    "train": "camcli.api_train",
}


def __dir__() -> list[str]:
    """What a notebook completes: the public names, though they are not looked up yet."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'camcli' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(HOMES[name]), name)
