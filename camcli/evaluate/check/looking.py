"""Every photograph is decoded once: whether it can be read, what it is like, and two prints of it.

And its features, which come from the cache of `camcli train` where they are there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from camcli.data.decode.images import decode, read_bytes
from camcli.data.decode.memory_budget import BUDGET
from camcli.data.decode.same_picture import SMALL, grey
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, of_image, stage
from camcli.evaluate.check.issue import CheckedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.properties.measure import PhotoProperties, measure
from camcli.models.classifier import Classifier
from camcli.models.loading.checkpoint import load_checkpoint
from camcli.models.runtime.openvino import available_cores
from camcli.printable import counted
from camcli.train.feature_pass.cache import PoolingCache, cache_root
from camcli.train.feature_pass.features import ImageView, digest_of, extract
from camcli.train.feature_pass.shelf import make_room, read_limit
from camcli.train.feature_pass.sight import Sight
from camcli.train.progress import Listener

_AT_ONCE = 256  # photographs between two looks at the clock


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """A backbone, and what its features are known by.

    Attributes:
        classifier: the backbone is its first half.
        digest: SHA-256 of its tensors, in hex; empty where nothing tells it from others.
    """

    classifier: Classifier
    digest: str


@dataclass(frozen=True, slots=True, eq=False)
class Print:
    """What is kept of a photograph.

    Attributes:
        content: SHA-256 of the file, in hex.
        pixels: digest of its pixels and shape: equal for equal pictures in different files.
        small: (SMALL, SMALL) uint8.
        properties: what it is like as a whole.
    """

    content: str
    pixels: bytes
    small: np.ndarray
    properties: PhotoProperties


@dataclass
class Prints:
    """What was seen of all photographs.

    Attributes:
        photos: those that can be read.
        prints: of each of them.
        unreadable: a sentence on each of the others, by relative path.
        features: (N, K) float16 of `photos`; None where there was no time for them.
    """

    photos: list[CheckedPhoto] = field(default_factory=list)
    prints: list[Print] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    features: np.ndarray | None = None

    def keep(self, wanted: Sequence[bool]) -> None:
        """Drop the others."""
        self.photos = [p for p, keep in zip(self.photos, wanted, strict=True) if keep]
        self.prints = [p for p, keep in zip(self.prints, wanted, strict=True) if keep]


def look(photos: Sequence[CheckedPhoto], clock: Clock, listener: Listener) -> Prints:
    """Decode all photographs, on all cores.

    Args:
        photos: any number; a few kilobytes of each are kept.
        clock: when it is over, the rest is not looked at.
        listener: shown a bar.
    """
    seen = Prints()
    queue = iter(photos)
    pool = ThreadPoolExecutor(max(2, available_cores()))
    try:
        with listener.bar("look", len(photos), "image") as bar:
            done = 0
            while some := list(islice(queue, _AT_ONCE)):
                if clock.over:
                    of = counted(len(photos), "photograph")
                    clock.skip(f"{len(photos) - done} of {of}, for want of time")
                    break
                for photo, found in zip(some, pool.map(_print, [p.ref for p in some]), strict=True):
                    if isinstance(found, ImageError):
                        seen.unreadable[photo.rel] = str(found)
                    else:
                        seen.photos.append(photo)
                        seen.prints.append(found)
                done += len(some)
                bar.advance(len(some))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return seen


def _print(ref: ImageRef) -> Print | ImageError:
    try:
        with stage("read"):
            name, data = read_bytes(ref)
        with BUDGET.held(), stage("decode"):
            rgb = decode(data, name)
            pixels = hashlib.blake2b(rgb.tobytes(), digest_size=16)
            pixels.update(repr(rgb.shape).encode())
            content = hashlib.sha256(data).hexdigest()
            return Print(content, pixels.digest(), grey(rgb, SMALL), measure(rgb, ref, data))
    except Exception as error:
        return of_image(error, str(ref.path))


def add_features(
    seen: Prints,
    backbone: Frozen,
    cache_dir: Path | None,
    cache: bool,
    clock: Clock,
    listener: Listener,
) -> None:
    """Let a backbone look at the photographs; those on which it fails become unreadable.

    Args:
        seen: what `look` gave; gets its features, unless the time is over before they are there.
        backbone: looks at them.
        cache_dir: where features are kept; None for the user's cache folder.
        cache: whether they are kept at all.
        clock: when it is over there are no features.
        listener: shown a bar.
    """
    sight = Sight(backbone.classifier)
    kept = feature_cache(backbone, sight, cache_dir) if cache else None
    started = time.time()
    view, rows, wanted = ImageView(backbone.classifier), [], []
    try:
        with listener.bar("features", len(seen.photos), "image") as bar:
            for start in range(0, len(seen.photos), _AT_ONCE):
                if clock.over:
                    clock.skip(
                        "near duplicates, suspect labels and outliers, for want of time: the "
                        "network did not see all photographs"
                        + ("; what it saw is kept for the next time" if cache else "")
                    )
                    return
                some = slice(start, start + _AT_ONCE)
                found, errors = extract(
                    [p.ref for p in seen.photos[some]], [p.content for p in seen.prints[some]],
                    sight, view, cache=kept, advance=bar.advance,
                )  # fmt: skip
                for i, error in errors.items():
                    seen.unreadable[seen.photos[start + i].rel] = error
                good = [i not in errors for i in range(len(found))]
                wanted += good
                rows.append(found.numpy()[good])
    finally:
        if kept is not None:
            kept.__exit__()
            make_room(cache_root(cache_dir), read_limit(None), since=started)
    seen.keep(wanted)
    seen.features = np.concatenate(rows) if rows else np.zeros((0, 1), np.float16)


def feature_cache(backbone: Frozen, sight: Sight, folder: Path | None) -> PoolingCache | None:
    """The cache that training has of the same backbone; None where its weights are not known."""
    classifier = backbone.classifier
    if not backbone.digest:
        return None
    space: dict[str, Any] = {
        "backbone": classifier.provenance.name,
        "tensors": backbone.digest,
        "layer": classifier.layer,
        "preprocess": classifier.preprocess.to_dict(),
        "precision": "bfloat16" if classifier.device.type == "cuda" else "float32",
    }
    return PoolingCache(cache_root(folder), space, sight.statistics)


def frozen(classifier: Classifier, checkpoint: Path | None = None) -> Frozen:
    """A backbone whose features are kept.

    Args:
        classifier: that is loaded.
        checkpoint: the file of training that it comes from; its features are then those that
            training kept, unless layers have learnt.
    """
    if checkpoint is not None:
        saved = load_checkpoint(checkpoint)
        return Frozen(classifier, digest_of(saved.backbone) if saved.members == 1 else "")
    module = classifier.features
    tensors = module.state_dict() if isinstance(module, nn.Module) else {}
    return Frozen(classifier, digest_of(tensors) if tensors else "")
