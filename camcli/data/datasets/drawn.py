"""The scenes that camcli draws itself: they have a name, and are read as any other folders."""

from __future__ import annotations

from pathlib import Path

from camcli.data.datasets.kind import DatasetKind, Drawn


def _draw(folder: Path) -> None:
    from camcli.data.synthetic.scenes import write_scenes  # NumPy and Pillow

    write_scenes(folder)


SYNTHETIC = DatasetKind(
    name="synthetic",
    title="drawn scenes of fruit",
    what="train/, val/ and test/, with exact masks beside them",
    folders=("synthetic",),
    get=Drawn(_draw, command="synthetic"),
)
