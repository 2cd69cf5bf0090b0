"""How pictures look, as a user says it; OpenCV and NumPy are imported when one is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from camcli.errors import UsageError
from camcli.render.picture_files import JPEG, PictureKind, check_quality, picture_kind
from camcli.render.ranges import COLORMAPS, MIN_SIZE, check_picture, no_colormap
from camcli.settings import check_types

if TYPE_CHECKING:
    import numpy as np

    from camcli.result import Result


@dataclass(frozen=True, slots=True)
class Style:
    """How pictures look.

    Attributes:
        colormap: of the heat.
        alpha: weight of the heat in the overlay, in [0, 1].
        panel: original, heatmap and overlay side by side instead of the overlay alone.
        max_size: longest side of the photograph in the picture, in pixels; None keeps it, as far
            as the finished picture can be written and has at most 67 million pixels.
        quality: of the file, 1 to 100, where it loses something.
        signed: evidence against the class in a second colour, on a grey photograph.
        min_size: a photograph whose longer side has fewer pixels is enlarged to this many, so that
            the strip can be read; 0 leaves it. Never above `max_size`.
        draw_box: outline each map's box, as the table has it.
        overlay_format: of the files: ``jpeg``, or another of `picture_files.KINDS`.
    """

    colormap: str = "jet"
    alpha: float = 0.5
    panel: bool = False
    max_size: int | None = None
    quality: int = 90
    signed: bool = False
    min_size: int = MIN_SIZE
    overlay_format: str = JPEG.name
    draw_box: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        if self.colormap not in COLORMAPS:
            raise no_colormap(self.colormap)
        if self.signed and self.colormap != "jet":
            raise UsageError("--signed has two colours of its own: leave --colormap out.")
        check_picture(self.alpha, self.max_size, self.min_size, self.quality)
        check_quality(picture_kind(self.overlay_format), self.quality)

    @property
    def kind(self) -> PictureKind:
        """Of the files that pictures are written as."""
        return picture_kind(self.overlay_format)

    def keep(self, rgb: np.ndarray) -> np.ndarray:
        """A photograph with as many pixels as the picture can have, (H, W, 3) uint8."""
        from camcli.render.sizes import drawable, shrink

        return drawable(shrink(rgb, self.max_size), side=self.kind.side)

    def draw(self, rgb: np.ndarray, result: Result) -> np.ndarray:
        """The finished picture of one Result.

        It can be written: where several classes or panels of the photograph would be
        too large, the photograph is shrunk.

        Args:
            rgb: (H, W, 3) uint8, the photograph, possibly shrunk.
            result: about it.

        Returns:
            (H', W', 3) uint8.

        Raises:
            ImageError: it cannot be made small enough.
        """
        from camcli.render.sizes import drawable, enlarge, excess_of, shrink, too_large

        small = min(self.min_size, self.max_size or self.min_size)
        rgb = enlarge(shrink(rgb, self.max_size), small)
        maps = max(1, len(result.heats))
        side = self.kind.side
        if result.beside:
            from camcli.render.method_grid import cells

            columns, rows = cells(rgb, result, self.panel)
        else:
            columns, rows = (3, maps) if self.panel else (maps, 1)
        rgb = drawable(rgb, columns, rows, side)
        for _ in range(3):  # how high the strips are is only known once they are drawn
            picture = self._draw(rgb, result, least=small // 2)
            height, width = picture.shape[:2]
            excess = excess_of(width, height, side)
            if excess <= 1:
                return picture
            if max(rgb.shape[:2]) < 16:
                break  # it is the text that is too much
            rgb = shrink(rgb, max(1, int(0.95 / excess * max(rgb.shape[:2]))))
        raise too_large(width, height, self.kind.name)

    def _draw(self, rgb: np.ndarray, result: Result, least: int) -> np.ndarray:
        import numpy as np

        from camcli.render.method_grid import method_grid
        from camcli.render.picture import annotate, side_by_side

        if result.beside:
            return method_grid(
                rgb, result, colormap=self.colormap, alpha=self.alpha, panel=self.panel,
                signed=self.signed, draw_box=self.draw_box, least=least,
            )  # fmt: skip
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
                    draw_box=self.draw_box,
                    least=least,
                )
                for n in range(len(result.heats))
            ]
            return np.concatenate(panels)
        draw = annotate if len(result.heats) == 1 else side_by_side
        return draw(
            rgb, result, colormap=self.colormap, alpha=self.alpha, signed=self.signed,
            draw_box=self.draw_box, least=least,
        )  # fmt: skip
