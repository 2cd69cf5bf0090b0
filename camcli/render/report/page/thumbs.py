"""Small copies of the photographs, for those that a reader sees first."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from camcli.data.decode.images import load_image
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError
from camcli.render.picture import encode_jpeg
from camcli.render.sizes import shrink

SIZE = 240
QUALITY = 82
_AT_ONCE = 256


def thumb_path(number: int) -> str:
    """Where the thumbnail of row `number` is, relative to the page."""
    return f"thumbs/{number // 1000:03}/{number:06}.jpg"


def thumbnail(photo: Path | ImageRef) -> bytes | None:
    """A photograph with 240 pixels on its longer side, as JPEG; None if it cannot be read."""
    try:
        return encode_jpeg(shrink(load_image(photo), SIZE), QUALITY)
    except ImageError:
        return None


def write_thumbs(
    photos: Sequence[Path | ImageRef | None], folder: Path, tick: Callable[[], None] | None = None
) -> list[int]:
    """Write thumbnails; a photograph that is gone or broken gets none.

    Args:
        photos: of the first rows of a page; None for those that failed.
        folder: of the page.
        tick: called after each.

    Returns:
        The numbers of the rows that got none, in order.
    """

    def make(numbered: tuple[int, Path | ImageRef | None]) -> bool:
        number, photo = numbered
        data = thumbnail(photo) if photo else None
        if data is None:
            return False
        path = folder / thumb_path(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return True

    without: list[int] = []
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        # In portions, so that a Ctrl-C does not have to wait for all of them.
        for start in range(0, len(photos), _AT_ONCE):
            numbered = enumerate(photos[start : start + _AT_ONCE], start)
            for number, written in enumerate(pool.map(make, numbered), start):
                if not written:
                    without.append(number)
                if tick:
                    tick()
    return without
