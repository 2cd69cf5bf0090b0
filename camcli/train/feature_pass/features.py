"""The feature pass: images in, pooled features out, each computed once.

As in the batch engine, threads decode ahead, and on a CPU one lane per core runs the backbone with
one thread each, which is faster than one forward pass spread over the cores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from camcli.batch.batch_size import by_halves
from camcli.batch.lanes import Lanes
from camcli.data.decode.images import load_image, printable, read_bytes
from camcli.data.decode.memory_budget import BUDGET
from camcli.data.sources.refs import ImageRef
from camcli.errors import CamcliError, ImageError, of_image, stage
from camcli.models.classifier import Classifier
from camcli.models.runtime.openvino import available_cores
from camcli.train.feature_pass.augment import augmented, view_rng
from camcli.train.feature_pass.cache import PoolingCache, record_key
from camcli.train.feature_pass.sight import Sight, finished

HALF = float(torch.finfo(torch.float16).max)
PLAIN = "plain"


class ImageView:
    """One way of looking at every image: as it is, mirrored, or augmented.

    Attributes:
        name: unique to the pixels that it gives; the cache tells views apart by it.
    """

    def __init__(
        self,
        classifier: Classifier,
        seed: int = 0,
        number: int | None = None,
        *,
        mirrored: bool = False,
    ) -> None:
        """A view.

        Args:
            classifier: whose preprocessing to apply.
            seed: of augmented views.
            number: which augmented view; None for the image as it is.
            mirrored: left and right change places.
        """
        self.preprocess = classifier.preprocess
        self.seed, self.number, self.mirrored = seed, number, mirrored
        self.name = PLAIN if number is None else f"augmented-1/{seed}/{number}"
        if mirrored:
            self.name += "/mirrored"

    @classmethod
    def learnt(
        cls, classifier: Classifier, seed: int, number: int, *, augment: int, mirror: bool
    ) -> ImageView:
        """One of those that a head learns from.

        The image as it is and mirrored come first, where mirrored ones are learnt from, then random
        parts. Random parts without mirrored images are instead of the image as it is.

        Args:
            classifier: whose preprocessing to apply.
            seed: of random parts.
            number: from 0; where nothing is kept, each epoch has one.
            augment: how many random parts there are; 0 for none.
            mirror: whether mirrored images are learnt from.
        """
        fixed = 2 if mirror else 0 if augment else 1
        if augment and number >= fixed:
            return cls(classifier, seed, number - fixed)
        return cls(classifier, mirrored=number % fixed == 1)

    def pixels(self, rgb: np.ndarray, content: str) -> Tensor:
        """(H, W, 3) uint8 -> (3, size, size) uint8; `content` is the hash of the file."""
        if self.number is None:
            seen = self.preprocess.pixels(rgb)
        else:
            seen = augmented(rgb, self.preprocess, view_rng(content, self.seed, self.number))
        return seen.flip(2) if self.mirrored else seen


def extract(
    paths: Sequence[Path | ImageRef],
    contents: Sequence[str],
    sight: Sight,
    view: ImageView,
    *,
    cache: PoolingCache | None = None,
    advance: Callable[[int], object] = lambda count: None,
    skip: Callable[[int], object] | None = None,
    batch_size: int | None = None,
) -> tuple[Tensor, dict[int, str]]:
    """Pooled features of many images, from the cache where they are there.

    Args:
        paths: the N images.
        contents: SHA-256 of each file, in hex, as `hash_files` gives them.
        sight: looks at them.
        view: how they are shown.
        cache: looked up and filled; None computes all.
        advance: called with a number of finished images.
        skip: instead of that with the number of those that were in the cache.
        batch_size: by default 16 on a CPU and 64 elsewhere.

    Returns:
        (N, K') float16 on the CPU, zero rows for images that cannot be read, or on which the
        backbone fails, and the one-sentence errors of those by index.

    Raises:
        CamcliError: the backbone fails on all of them.
    """
    # The one place where the features are: what is computed goes here and to the disk.
    rows = np.zeros((len(paths), sight.channels), np.float16)
    keys = [record_key(content, view.name) for content in contents]
    found = cache.read(keys, rows) if cache else [False] * len(keys)
    missing = [i for i, known in enumerate(found) if not known]
    (skip or advance)(len(paths) - len(missing))
    errors: dict[int, str] = {}
    device, name = sight.classifier.device, sight.classifier.provenance.name
    batch_size = batch_size or (16 if device.type == "cpu" else 64)
    sight.expect(len(missing))
    jobs = [(i, paths[i], contents[i]) for i in missing]
    for indices, computed in _stream(jobs, sight, view, batch_size, errors):
        if cache and indices:
            cache.add([keys[i] for i in indices], computed)
        rows[indices] = computed
        advance(len(indices))
    broken = [text for text in errors.values() if text.startswith(_NETWORK)]
    if broken and len(broken) == len(paths):
        raise CamcliError(
            f"The backbone {name} fails on every image: its weights are damaged or do not belong "
            f"to it, or it takes no such input. The first: {broken[0]}"
        )
    advance(len(errors))
    for i in errors:  # also of what is in the cache of some statistics and not of others
        rows[i] = 0
    return finished(sight.pooling, torch.from_numpy(rows)), errors


def _rows(
    sight: Sight, paths: Mapping[int, Path | ImageRef], jobs: Sequence[tuple[int, Tensor]]
) -> list[np.ndarray | ImageError]:
    """Features (K',) float16 of images (3, h, w) that come with their indices."""
    rows = sight.of_any_shape([image for _, image in jobs]).cpu()
    finite = rows.isfinite().all(1).tolist()  # before infinity becomes the largest number
    return [
        row if good else ImageError(f"{_NETWORK}{_named(paths[i])}: {_NOT_FINITE}")
        for row, good, (i, _) in zip(
            rows.clamp(-HALF, HALF).half().numpy(), finite, jobs, strict=True
        )
    ]


def _path(image: Path | ImageRef) -> Path:
    return image.path if isinstance(image, ImageRef) else image


def _named(image: Path | ImageRef) -> str:
    return printable(_path(image))


_NETWORK = "network: "
_NOT_FINITE = "features that are not finite (NaN or infinity)."


def _stream(
    jobs: Sequence[tuple[int, Path | ImageRef, str]],
    sight: Sight,
    view: ImageView,
    batch_size: int,
    errors: dict[int, str],
) -> Iterator[tuple[list[int], np.ndarray]]:
    """Indices and features (B, K) float16 of one batch after another; bad images in `errors`."""
    by_index = {i: path for i, path, _ in jobs}
    device = sight.classifier.device

    def read(job: tuple[int, Path | ImageRef, str]) -> Tensor | ImageError:
        _, path, content = job
        try:
            with BUDGET.held():
                with stage("decode"):
                    rgb = load_image(path)
                with stage("resize"):
                    return view.pixels(rgb, content)
        except Exception as error:
            return of_image(error, _named(path))

    def work(
        group: Sequence[tuple[int, Path | ImageRef, str]], read: list[Tensor | ImageError]
    ) -> tuple[list[int], np.ndarray]:
        images = []
        for (i, *_), outcome in zip(group, read, strict=True):
            if isinstance(outcome, ImageError):
                errors[i] = str(outcome)
            else:
                images.append((i, outcome))
        good, rows = [], []
        outcomes: list[np.ndarray | ImageError] = by_halves(
            partial(_rows, sight, by_index), images, device,
            lambda job: _named(by_index[job[0]]),
        )  # fmt: skip
        for (i, _), row in zip(images, outcomes, strict=True):
            if isinstance(row, ImageError):
                errors[i] = str(row)
            else:
                good.append(i)
                rows.append(row)
        return good, np.stack(rows) if rows else np.empty((0, sight.channels), np.float16)

    groups = (jobs[i : i + batch_size] for i in range(0, len(jobs), batch_size))
    count = available_cores() if device.type == "cpu" else 1
    with Lanes(device, count) as lanes:
        yield from lanes.run(groups, read, work)


def hash_files(
    paths: Sequence[Path | ImageRef], advance: Callable[[int], object] = lambda count: None
) -> list[str]:
    """SHA-256 of each file in hex; of its path where it cannot be read (decoding says why).

    Args:
        paths: N files.
        advance: called with a number of finished ones.
    """

    def digest(image: Path | ImageRef) -> str:
        try:
            return hashlib.sha256(read_bytes(image)[1]).hexdigest()
        except ImageError:
            return hashlib.sha256(bytes(_path(image))).hexdigest()

    pool = ThreadPoolExecutor(max(2, available_cores()))
    try:
        found = []
        for each in pool.map(digest, paths):
            found.append(each)
            advance(1)
        return found
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # Ctrl-C does not wait for the rest


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes, types and bytes: equal means bit-identical."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def backbone_tensors(module: nn.Module, classifier: Classifier) -> dict[str, Tensor]:
    """The tensors before the cut, buffers included, by their names in the whole network.

    Args:
        module: the network that `classifier` was cut from.
        classifier: what the cut gave; its tail keeps the network's own names.
    """
    tail = classifier.tail
    after = set(tail.state_dict()) if isinstance(tail, nn.Module) else set()
    return {name: t for name, t in module.state_dict().items() if name not in after}
