"""The photographs of a job: found, listed, and what there is to know about them told."""

from __future__ import annotations

from pathlib import Path

from camcli.data.sources.find import Images, find_images
from camcli.data.sources.refs import ImageRef
from camcli.data.sources.source import Source
from camcli.train.progress import Listener


def find_photographs(
    images: Images, labels: str, listener: Listener, limit: int | None = None
) -> tuple[Source, list[ImageRef]]:
    """All photographs of a folder, a glob or a list.

    Args:
        images: as the user names them.
        labels: where labels come from, see `find_images`.
        listener: told what was left out, and what there is to know about the labels.
        limit: only the first so many.

    Raises:
        UsageError: there are none.
    """
    with listener.slow("Looking for photographs ..."):
        source = find_images(images, limit=limit, labels=labels)
        refs = list(source)
    if source.left_out:
        listener.say(source.left_out.note())
    tell_notes(source, listener)
    return source, refs


def tell_notes(source: Source, listener: Listener, told: tuple[str, ...] = ()) -> None:
    """Say what there is to know about a source's labels, but for what was told before."""
    for note in source.notes:
        if note not in told:
            listener.say(note)


def called(images: Images) -> str:
    """What the images are called in a record: as the user named them, or how many were named."""
    return str(images) if isinstance(images, str | Path) else f"{len(images)} named images"
