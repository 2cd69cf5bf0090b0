"""Where pictures go while a stream runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from camcli.batch.run_files.overlay_names import Namer
from camcli.batch.run_files.rundir import OVERLAYS, RunDirectory
from camcli.data.sources.find import Source
from camcli.errors import UsageError, stage
from camcli.models.classes.imagenet import plain
from camcli.models.classes.named_class import match_class
from camcli.render.colormaps import get_colormap
from camcli.render.picture import annotate, encode_jpeg, side_by_side
from camcli.render.ranges import check_picture
from camcli.render.sizes import MIN_SIZE, drawable, enlarge, excess_of, shrink, too_large
from camcli.result import Result


@dataclass(frozen=True, slots=True)
class Style:
    """How pictures look.

    Attributes:
        colormap: of the heat.
        alpha: weight of the heat in the overlay, in [0, 1].
        panel: original, heatmap and overlay side by side instead of the overlay alone.
        max_size: longest side of the photograph in the picture, in pixels; None keeps it, as far
            as the finished picture can be written as a JPEG and has at most 67 million pixels.
        quality: of the JPEG, 1 to 100.
        signed: evidence against the class in a second colour, on a grey photograph.
        min_size: a photograph whose longer side has fewer pixels is enlarged to this many, so that
            the strip can be read; 0 leaves it. Never above `max_size`.
    """

    colormap: str = "jet"
    alpha: float = 0.5
    panel: bool = False
    max_size: int | None = None
    quality: int = 90
    signed: bool = False
    min_size: int = MIN_SIZE

    def __post_init__(self) -> None:
        get_colormap(self.colormap)
        if self.signed and self.colormap != "jet":
            raise UsageError("--signed has two colours of its own: leave --colormap out.")
        check_picture(self.alpha, self.max_size, self.min_size, self.quality)

    def recorded(self) -> dict[str, Any]:
        """What ``run.json`` says of it; without what is new and was not chosen.

        A run that an earlier camcli began can then be resumed.
        """
        values = asdict(self)
        if self.min_size == MIN_SIZE:
            del values["min_size"]
        return values

    def keep(self, rgb: np.ndarray) -> np.ndarray:
        """A photograph with as many pixels as the picture can have, (H, W, 3) uint8."""
        return drawable(shrink(rgb, self.max_size))

    def draw(self, rgb: np.ndarray, result: Result) -> np.ndarray:
        """The finished picture of one Result.

        It can be written as a JPEG: where several classes or panels of the photograph would be
        too large, the photograph is shrunk.

        Args:
            rgb: (H, W, 3) uint8, the photograph, possibly shrunk.
            result: about it.

        Returns:
            (H', W', 3) uint8.

        Raises:
            ImageError: it cannot be made small enough.
        """
        small = min(self.min_size, self.max_size or self.min_size)
        rgb = enlarge(shrink(rgb, self.max_size), small)
        maps = max(1, len(result.heats))
        rgb = drawable(rgb, *((3, maps) if self.panel else (maps, 1)))
        for _ in range(3):  # how high the strips are is only known once they are drawn
            picture = self._draw(rgb, result, least=small // 2)
            height, width = picture.shape[:2]
            excess = excess_of(width, height)
            if excess <= 1:
                return picture
            if max(rgb.shape[:2]) < 16:
                break  # it is the text that is too much
            rgb = shrink(rgb, max(1, int(0.95 / excess * max(rgb.shape[:2]))))
        raise too_large(width, height)

    def _draw(self, rgb: np.ndarray, result: Result, least: int) -> np.ndarray:
        if self.panel:
            # One row of panels for each explained class; all have one width.
            panels = [
                annotate(
                    rgb,
                    result,
                    heat_index=n,
                    colormap=self.colormap,
                    alpha=self.alpha,
                    panel=True,
                    signed=self.signed,
                    least=least,
                )
                for n in range(len(result.heats))
            ]
            return np.concatenate(panels)
        draw = annotate if len(result.heats) == 1 else side_by_side
        return draw(
            rgb, result, colormap=self.colormap, alpha=self.alpha, signed=self.signed, least=least
        )


Wanted = Callable[[Result], bool]


def parse_only(text: str, classes: Sequence[str] = ()) -> Wanted:
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
        return lambda result: bool(
            named & {plain(result.pred or ""), plain(result.ref.label or "")}
        )
    raise UsageError(f"--only takes wrong, 'below 0.6' or 'class NAME', not {text!r}.")


def check_only(
    text: str, source: Source, *, overlays: bool, classes: Sequence[str] | None = None
) -> None:
    """Refuse a choice of pictures that can only choose none.

    Args:
        text: as for `parse_only`.
        source: the images.
        overlays: whether pictures are drawn at all.
        classes: of the network; None where they are not known yet.

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
    if word == "class" and classes is not None:
        wanted = plain(name)
        if source.may_have_labels and any(plain(ref.label or "") == wanted for ref in source):
            return
        match_class(name.strip(), classes)


class Overlays:
    """Writes one annotated overlay an image under a run directory, mirroring the source's tree."""

    def __init__(
        self, run: RunDirectory, namer: Namer, style: Style, wanted: Wanted | None = None
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
            data = encode_jpeg(picture, self.style.quality)
        with stage("write"):
            self.run.write_overlay(self.run.path / result.overlay, data)
