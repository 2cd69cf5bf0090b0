"""Files of Ultralytics and of fastai, which are pickles: what they are, without opening them.

Neither library is needed by camcli, nor brought by it (Ultralytics is under the AGPL-3.0): a file
is opened where the user has the library and trusts the file, and else there are two lines that
export it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.errors import UnavailableError, UsageError
from camcli.files import expanded
from camcli.models.weights.pickles import network_in

if TYPE_CHECKING:
    from camcli.models.loading.sources import AskedModel


@dataclass(frozen=True)
class Trainer:
    """A library that pickles its networks.

    Attributes:
        package: as it is imported and installed.
        told: what its files are.
        export: two lines of Python that write what opens everywhere; ``{name}`` is the file's.
    """

    package: str
    told: str
    export: str


ULTRALYTICS = Trainer(
    "ultralytics",
    "a network of Ultralytics",
    "from ultralytics import YOLO\nYOLO('{name}').export(format='onnx')  # and give the .onnx",
)
FASTAI = Trainer(
    "fastai",
    "a learner of fastai",
    "import torch; from fastai.vision.all import load_learner\n"
    "torch.onnx.export(load_learner('{name}').model.eval(), torch.zeros(1, 3, 224, 224), "
    "'network.onnx')  # at its own size; and give the .onnx",
)


def is_of(trainer: Trainer, path: Path, kind: str) -> bool:
    """Whether a pickle is one of that library's."""
    name = network_in(path, kind)
    return name is not None and name.startswith(f"{trainer.package}.")


def check(trainer: Trainer, asked: AskedModel) -> None:
    """Refuse a file that is not trusted, or whose library is not here.

    Raises:
        UsageError: ``--trust-pickle`` was not given.
        UnavailableError: the library is not installed.
    """
    path = expanded(asked.name)
    lines = trainer.export.format(name=path.name)
    if not asked.trust_pickle:
        raise UsageError(
            f"{path} is {trainer.told}, pickled: opening it runs the code that it names, and "
            f"whatever else its maker put in. Add --trust-pickle if you trust it and have "
            f"{trainer.package} installed; or export it where it was made:\n{lines}"
        )
    if importlib.util.find_spec(trainer.package) is None:
        raise UnavailableError(
            f"{path} is {trainer.told}, which is not installed: `pip install {trainer.package}`; "
            f"or export it where it is:\n{lines}"
        )


def check_ultralytics(asked: AskedModel) -> None:
    """`check` for a file of Ultralytics."""
    check(ULTRALYTICS, asked)


def check_fastai(asked: AskedModel) -> None:
    """`check` for a file of fastai."""
    check(FASTAI, asked)
