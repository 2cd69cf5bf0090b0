"""Where weight files lie, what they are called, and how they get here; without torch."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camcli.errors import CamcliError, UnavailableError
from camcli.files import open_regular
from camcli.net.download import download, present

# The eight (or ten) hex digits before the suffix, as torch.hub and timm write them.
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[A-Za-z]+$")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class WeightFile:
    """A weight file that a model can fetch.

    Attributes:
        model: the model's name as the user types it.
        filename: what the file is called on this machine.
        url: where the network has it.
        size: bytes, or None where nobody says.
        hub: (repository, file name) on the Hugging Face hub, or None.
    """

    model: str
    filename: str
    url: str
    size: int | None = None
    hub: tuple[str, str] | None = None

    @property
    def sha256(self) -> str | None:
        """The first digits of the file's sha256 that its name carries, or None."""
        return hash_in_name(self.filename)


def hash_in_name(filename: str) -> str | None:
    """The sha256 prefix in names such as ``resnet18-f37072fd.pth``, or None."""
    match = _HASH_IN_NAME.search(filename)
    return match[1] if match else None


def weights_dir() -> Path | None:
    """``$CAMCLI_WEIGHTS_DIR``, or None if it is not set."""
    value = os.environ.get("CAMCLI_WEIGHTS_DIR")
    return Path(value).expanduser() if value else None


def torch_cache() -> Path:
    """Where torch.hub keeps what it downloads (``$TORCH_HOME`` moves it)."""
    hub = sys.modules.get("torch.hub")
    if hub is not None:  # a program may have chosen a folder there
        return Path(hub.get_dir()).expanduser() / "checkpoints"
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))  # noqa: PTH118
    return Path(os.path.expanduser(home), "hub", "checkpoints")  # noqa: PTH111


def is_offline(offline: bool = False) -> bool:
    """Whether the network must not be touched: asked for, or ``$CAMCLI_OFFLINE`` is set."""
    return offline or os.environ.get("CAMCLI_OFFLINE", "0").lower() not in ("", "0", "false", "no")


def sha256_of(path: Path) -> str:
    """The file's sha256 in hex."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def search_dirs() -> list[Path]:
    """The folders in which weight files are looked up, in this order."""
    own = weights_dir()
    return [own, torch_cache()] if own else [torch_cache()]


def find(file: WeightFile) -> Path | None:
    """The file on this machine: `search_dirs`, then Hugging Face's cache for what comes from it."""
    for folder in search_dirs():
        if path := present(folder / file.filename):
            return path
    if file.hub:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(*file.hub)
        if isinstance(cached, str) and Path(cached).is_file():
            return Path(cached)
    return None


def expected_sha256(file: WeightFile, path: Path) -> str | None:
    """What the sha256 of a file that `find` found must begin with, or None if nobody says."""
    if file.sha256 or not file.hub:
        return file.sha256
    blob = path.resolve().name  # Hugging Face's cache names its blobs by their digest
    return blob if _SHA256.fullmatch(blob) else hash_in_name(path.name)


def fetch(file: WeightFile, folder: Path | None = None) -> Path:
    """Download a weight file into `folder`, by default the first of `search_dirs`.

    Raises:
        UnavailableError: there is no network, or what came is not the file.
    """
    folder = folder or search_dirs()[0]
    try:
        return _download(file, folder)
    except UnavailableError as error:
        raise UnavailableError(
            f"The weights of {file.model} were not fetched: {str(error).rstrip('.')}. With a "
            f"network, get {file.url} and copy it to {folder} as {file.filename}."
        ) from error


def _download(file: WeightFile, folder: Path) -> Path:
    """With a bar on stderr once bytes come."""
    from tqdm import tqdm

    with ExitStack() as stack:
        bars: list[tqdm[Any]] = []

        def received(done: int, total: int | None) -> None:
            if not bars:
                bar = tqdm(
                    total=total, unit="B", unit_scale=True, desc=file.filename, file=sys.stderr
                )
                bars.append(stack.enter_context(bar))
            bars[0].update(done - bars[0].n)

        try:
            return download(file.url, folder / file.filename, sha256=file.sha256, progress=received)
        except UnavailableError:
            raise
        except CamcliError as error:
            raise CamcliError(
                f"{error} $CAMCLI_WEIGHTS_DIR names another folder for weights."
            ) from error


def locate(
    file: WeightFile, *, offline: bool = False, also_here: Sequence[str] = ()
) -> tuple[Path, str | None]:
    """The file on this machine, fetched if need be and allowed.

    Args:
        file: what to look for.
        offline: never touch the network.
        also_here: other weights of the same model that are here, to be named in the error.

    Returns:
        Its path, and the first digits of the sha256 that it must have, if they are known.

    Raises:
        UnavailableError: it is not here and cannot be fetched.
    """
    path = find(file)
    if path is None:
        if is_offline(offline):
            raise UnavailableError(_unavailable(file, "the network was not to be used", also_here))
        try:
            path = _download(file, search_dirs()[0])
        except UnavailableError as error:
            raise UnavailableError(_unavailable(file, str(error), also_here)) from error
    return path, expected_sha256(file, path)


def _unavailable(file: WeightFile, why: str, also_here: Sequence[str]) -> str:
    """What was looked for and where, and the ways out."""
    places = [str(folder) for folder in search_dirs()]
    if file.hub:
        places.append("Hugging Face's cache")
    ways = [f"with a network, get {file.url} and copy it to {places[0]} as {file.filename}"]
    if also_here:
        ways.append(f"use what is here: --weights {' or '.join(also_here)}")
    ways += [
        "name a file you have: --weights FILE",
        "use a model that is bundled: --model efficientnet_lite0 (or --weights random, untrained, "
        "to try the rest)",
    ]
    listing = "".join(f"\n  - {way}" for way in ways)
    return (
        f"The weights of {file.model} are not here and could not be fetched: {why.rstrip('.')}. "
        f"Looked for {file.filename} in {' and '.join(places)}. You can{listing}"
    )
