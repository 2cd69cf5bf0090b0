"""What a run found in its source, in a few bytes: shards of one run must have found the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

from camcli.data.sources.refs import ImageRef


class Listing:
    """Counts and digests the relative paths of a source, in order, as they pass by.

    Example:
        >>> listing = Listing()
        >>> for ref in listing.watch(source):  # doctest: +SKIP
        ...     explain(ref)
        >>> listing.record()  # doctest: +SKIP
        {'images': 3, 'digest': '5c1e...'}
    """

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self._images = 0
        self._whole = False

    def watch(self, refs: Iterable[ImageRef]) -> Iterator[ImageRef]:
        """The same references; begins anew each time."""
        self._digest = hashlib.blake2b(digest_size=16)
        self._images, self._whole = 0, False
        for ref in refs:
            self._digest.update(os.fsencode(ref.rel) + b"\0")
            self._images += 1
            yield ref
        self._whole = True

    def record(self) -> dict[str, Any] | None:
        """For ``run.json``; None until the source has been walked to its end."""
        if not self._whole:
            return None
        return {"images": self._images, "digest": self._digest.hexdigest()}
