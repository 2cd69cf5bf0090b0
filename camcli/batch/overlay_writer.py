"""Where pictures go while a stream runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from camcli.batch.run_files.overlay_names import Namer
from camcli.batch.run_files.rundir import RunDirectory
from camcli.data.sources.label_tables import split_labels
from camcli.data.sources.source import Source
from camcli.errors import UsageError, stage
from camcli.models.classes.imagenet import plain
from camcli.models.classes.named_class import match_class
from camcli.ours import OVERLAYS
from camcli.render.style import Style
from camcli.render.verdict import is_multi_label
from camcli.result import Result

OverlayFilter = Callable[[Result], bool]


def parse_only(text: str, classes: Sequence[str] = ()) -> OverlayFilter:
    """Which Results are worth a picture, as a user says it.

    Args:
        text: ``wrong``, ``below 0.6`` (probability) or ``class NAME`` (predicted or true).
        classes: of the network, of which NAME may be a synonym or an index.

    Raises:
        UsageError: it is none of these.
    """
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if word == "wrong" and not rest:
        return lambda result: result.correct is False
    if word == "below":
        try:
            limit = float(rest)
        except ValueError:
            limit = -1.0
        if 0 <= limit <= 1:
            return lambda result: result.prob is not None and result.prob < limit
    if word == "class" and rest:
        named = {plain(rest)}
        with suppress(UsageError):  # it may be a label that is none of the network's classes
            named = {plain(classes[match_class(rest, classes)])} if classes else named
        return lambda result: bool(named & (_predicted(result) | _labels(result.ref.label)))
    raise UsageError(f"--only takes wrong, 'below 0.6' or 'class NAME', not {text!r}.")


def _predicted(result: Result) -> set[str]:
    """The predicted class, or all labels that are predicted."""
    if is_multi_label(result):
        return {plain(name) for name, _ in result.positives}
    return {plain(result.pred)} if result.pred else set()


def _labels(label: str | None) -> set[str]:
    """What an image's label names, which may be several."""
    return {plain(name) for name in (label, *split_labels(label)) if name} if label else set()


def check_only(
    text: str,
    source: Source,
    *,
    overlays: bool,
    classes: Sequence[str] | None = None,
    values: bool = False,
) -> None:
    """Refuse a choice of pictures that can only choose none.

    Args:
        text: as for `parse_only`.
        source: the images.
        overlays: whether pictures are drawn at all.
        classes: of the network; None where they are not known yet.
        values: whether it returns values, which are neither right nor probable.

    Raises:
        UsageError: there are no pictures, or no labels that could be wrong, or a class that is
            neither the network's nor a label; or it is malformed.
    """
    parse_only(text)
    if not overlays:
        raise UsageError(
            f"--only {text.strip()!r} chooses which overlays are drawn and --no-overlays draws "
            "none: give one of them."
        )
    if text.strip() == "wrong" and not source.may_have_labels:
        raise UsageError(
            "--only wrong needs true labels and these images have none: say with --labels where "
            "they come from, or use --only 'below 0.6'."
        )
    word, _, name = text.strip().partition(" ")
    if values:
        raise UsageError(
            f"--only {text.strip()!r} is about classes, and this network's outputs are values "
            "(--output none): leave it out."
        )
    if word == "class" and classes is not None:
        wanted = plain(name)
        if source.may_have_labels and any(wanted in _labels(ref.label) for ref in source):
            return
        match_class(name.strip(), classes)


class Overlays:
    """Writes one annotated overlay an image under a run directory, mirroring the source's tree."""

    def __init__(
        self, run: RunDirectory, namer: Namer, style: Style, wanted: OverlayFilter | None = None
    ) -> None:
        self.run = run
        self.namer = namer
        self.style = style
        self.wanted = wanted

    def keep(self, rgb: np.ndarray) -> np.ndarray:
        """The pixels that the picture will be drawn on."""
        return self.style.keep(rgb)

    def claim(self, result: Result) -> Result:
        """Name the picture, if one is wanted.

        Raises:
            ImageError: another image has taken the name.
        """
        if self.wanted is not None and not self.wanted(result):
            return result
        return replace(result, overlay=f"{OVERLAYS}/{self.namer.name(result)}")

    def write(self, result: Result, rgb: np.ndarray) -> None:
        """Draw, encode, and rename into place.

        Raises:
            CamcliError: nothing can be written any more.
            Exception: this picture cannot be drawn, encoded or written.
        """
        assert result.overlay is not None
        with stage("draw"):
            picture = self.style.draw(rgb, result)
        with stage("encode"):
            data = self.style.kind.encode(picture, self.style.quality)
        with stage("write"):
            self.run.write_overlay(self.run.path / result.overlay, data)
