"""Photographs to begin with, and the settings that the pages speak of: they are in the wheel."""

from __future__ import annotations

from pathlib import Path

from camcli.errors import CamcliError, UsageError
from camcli.files import why, write_whole

FOLDERS = ("sample_images", "configs")
"""The repository's folders that an installation carries, as `pyproject.toml` tells the builder."""
_INSTALLED = Path(__file__).parent / "shipped"
_CHECKOUT = Path(__file__).parents[2]


def sample_files() -> dict[str, Path]:
    """The files by their relative paths, as an installation or a checkout has them.

    Raises:
        CamcliError: they are not there.
    """
    for place in (_INSTALLED, _CHECKOUT):
        if all((place / folder).is_dir() for folder in FOLDERS):
            return {
                path.relative_to(place).as_posix(): path
                for folder in FOLDERS
                for path in sorted((place / folder).iterdir())
                if path.is_file()
            }
    raise CamcliError(f"This installation has no samples: {_INSTALLED} is missing. Install anew.")


def write_samples(folder: Path) -> list[Path]:
    """Write them into `FOLDERS` of a folder; what is there already, and the same, stays.

    Args:
        folder: is made if need be.

    Returns:
        The folders that were written.

    Raises:
        UsageError: a file of such a name is there, and holds something else; nothing was written.
        CamcliError: the disk does not take them.
    """
    files = {folder / rel: path.read_bytes() for rel, path in sample_files().items()}
    try:
        for path, data in files.items():
            if path.exists() and not (path.is_file() and path.read_bytes() == data):
                raise UsageError(
                    f"{path} is there already and holds something else: name another folder."
                )
        for path, data in files.items():
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, data)
    except OSError as error:
        raise CamcliError(f"Cannot write samples to {folder}: {why(error)}.") from error
    return [folder / name for name in FOLDERS]
