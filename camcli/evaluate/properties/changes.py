"""How a property is taken away from photographs, and put on others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.suspect import Change
from camcli.evaluate.properties.catalogue import CORNERS
from camcli.evaluate.properties.detail_steps import (
    Noisier,
    Reencoded,
    Sharpness,
    Smaller,
    Smoother,
)
from camcli.evaluate.properties.light_steps import ChannelLines, Contrast, Curve, Rings, Saturation
from camcli.evaluate.properties.measure import PhotoProperties
from camcli.evaluate.properties.shape_steps import Cropped
from camcli.evaluate.properties.steps import PropertyStep

Photographs = Sequence[PhotoProperties]

_GAINS = (0.5, 2.0)  # within which a channel is multiplied
_CONTRASTS = (0.3, 3.0)
_QUALITIES = 5  # by which JPEG qualities differ at least, to try it
_LEAST_NOISE = 1.0  # grey levels by which noise differs at least, to try it


@dataclass(slots=True, eq=False)
class PropertyChange:
    """A change of a whole photograph; see `camcli.evaluate.findings.suspect.Change`.

    Attributes:
        removed_by: past participle; empty where it cannot be taken away.
        added_by: past participle; empty where it cannot be put on.
        control: what the control is, in words.
        taking: the step that takes it away.
        putting: the step that puts it on.
    """

    removed_by: str
    added_by: str
    control: str
    taking: PropertyStep | None
    putting: PropertyStep | None

    def remove(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph without it."""
        return None if self.taking is None else self.taking.change(rgb, rng)

    def remove_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph with it, changed by as much otherwise."""
        return None if self.taking is None else self.taking.control(rgb, rng)

    def add(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph with it."""
        return None if self.putting is None else self.putting.change(rgb, rng)

    def add_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph without it, changed by as much otherwise."""
        return None if self.putting is None else self.putting.control(rgb, rng)


def change_of(kind: str, having: Photographs, without: Photographs) -> Change | None:
    """How a property is changed.

    Args:
        kind: one of `finding.KINDS`, or a way of one, see `catalogue.Number`.
        having: photographs of the class that have it.
        without: photographs of other classes that have it not.

    Returns:
        None where no pixel shows it, or nothing can be done about it.
    """
    if kind not in _CHANGES or not having or not without:
        return None
    return _CHANGES[kind](having, without)


def _cast(having: Photographs, without: Photographs) -> PropertyChange:
    """Lines through the channels' typical tones, from one group's to the other's."""
    own, others = _tones(having), _tones(without)
    return PropertyChange(
        "neutralised",
        "put under light of its colour",
        "as strong a shift of colours to another hue",
        _lines(own, others),
        _lines(others, own),
    )


def _lines(before: np.ndarray, after: np.ndarray) -> ChannelLines:
    """The line of each channel that leads from tones (3, Q) to others."""
    centred = before - before.mean(1, keepdims=True)
    gains = (centred * (after - after.mean(1, keepdims=True))).sum(1) / (centred**2).sum(1)
    gains = np.clip(gains, *_GAINS)
    return ChannelLines(gains, after.mean(1) - gains * before.mean(1))


def _brightness(having: Photographs, without: Photographs) -> PropertyChange:
    own, others = _tones(having).mean(0), _tones(without).mean(0)
    dark = own.mean() < others.mean()
    return PropertyChange(
        "brightened" if dark else "darkened",
        "darkened" if dark else "brightened",
        "as much brighter on one side and darker on the other",
        _curve(own, others),
        _curve(others, own),
    )


def _curve(before: np.ndarray, after: np.ndarray) -> Curve:
    """A rising curve through tones (Q,), from black to white."""
    x = np.maximum.accumulate(
        np.concatenate([[0], before, [255]]) + np.arange(len(before) + 2) / 99
    )
    y = np.maximum.accumulate(np.concatenate([[0], after, [255]]))
    return Curve(np.clip(np.rint(np.interp(np.arange(256), x, y)), 0, 255).astype(np.uint8))


def _corners(having: Photographs, without: Photographs) -> PropertyChange:
    own, others = (np.median([each.rings for each in group], axis=0) for group in (having, without))
    dark = own[-1] < others[-1]
    return PropertyChange(
        "brightened towards the corners" if dark else "darkened towards the corners",
        "darkened towards the corners" if dark else "brightened towards the corners",
        "as much brighter on one side and darker on the other",
        Rings(others - own),
        Rings(own - others),
    )


def _contrast(having: Photographs, without: Photographs) -> PropertyChange:
    ratio = _median(without, lambda p: p.contrast) / max(_median(having, lambda p: p.contrast), 1.0)
    ratio = float(np.clip(ratio, *_CONTRASTS))
    return PropertyChange(
        "given more contrast" if ratio > 1 else "given less contrast",
        "given less contrast" if ratio > 1 else "given more contrast",
        "brighter on one side and darker on the other by as much",
        Contrast(ratio),
        Contrast(1 / ratio),
    )


def _saturation(having: Photographs, without: Photographs) -> PropertyChange:
    ratio = _median(without, lambda p: p.saturation) / max(
        _median(having, lambda p: p.saturation), 1.0
    )
    ratio = float(np.clip(ratio, *_CONTRASTS))
    return PropertyChange(
        "made more colourful" if ratio > 1 else "made paler",
        "made paler" if ratio > 1 else "made more colourful",
        "other hues, as colourful as before",
        Saturation(ratio),
        Saturation(1 / ratio),
    )


def _grey(having: Photographs, without: Photographs) -> PropertyChange:
    """Colours that are not there cannot be given back."""
    return PropertyChange(
        "", "made grey", "other hues, as colourful as before", None, Saturation(0.0)
    )


def _blur(having: Photographs, without: Photographs) -> PropertyChange | None:
    spectra = [
        [each.spectrum for each in group if each.spectrum is not None]
        for group in (having, without)
    ]
    if not spectra[0] or not spectra[1]:
        return None
    ratio = np.median(spectra[1], axis=0) - np.median(spectra[0], axis=0)
    soft = ratio.mean() > 0
    return PropertyChange(
        "sharpened" if soft else "blurred",
        "blurred" if soft else "sharpened",
        "fine detail as strong as before, moved out of phase",
        Sharpness(ratio),
        Sharpness(-ratio),
    )


def _noise(having: Photographs, without: Photographs) -> PropertyChange | None:
    own, others = (_median(group, lambda p: p.noise) for group in (having, without))
    sigma = abs(own**2 - others**2) ** 0.5
    if sigma < _LEAST_NOISE:
        return None
    words = "coarse spots as strong"
    if own > others:
        return PropertyChange("smoothed", "made noisy", words, Smoother(own), Noisier(sigma))
    return PropertyChange("made noisy", "smoothed", words, Noisier(sigma), Smoother(others))


def _size(having: Photographs, without: Photographs) -> PropertyChange:
    """Pixels that are not there cannot be given back: one of the two can be tried."""
    own, others = (_median(group, lambda p: p.side) for group in (having, without))
    words = "as many pixels, fine detail moved out of phase"
    if own < others:
        return PropertyChange("", "made smaller", words, None, Smaller(own))
    return PropertyChange("made smaller", "", words, Smaller(others), None)


def _aspect(having: Photographs, without: Photographs) -> PropertyChange:
    own, others = (_median(group, lambda p: p.aspect) for group in (having, without))
    return PropertyChange(
        "cropped to the others' shape",
        "cropped to its shape",
        "as much cropped at all four sides",
        Cropped(others),
        Cropped(own),
    )


def _quality(having: Photographs, without: Photographs) -> PropertyChange | None:
    """What JPEG has taken away cannot be given back: one of the two can be tried."""
    own, others = (_median(group, lambda p: p.file.quality) for group in (having, without))
    if not abs(own - others) >= _QUALITIES:  # or not known
        return None
    words = "noise as strong as JPEG's losses"
    if own < others:
        return PropertyChange("", "written as poor JPEG", words, None, Reencoded(round(own)))
    return PropertyChange("written as poor JPEG", "", words, Reencoded(round(others)), None)


_CHANGES: dict[str, Callable[[Photographs, Photographs], PropertyChange | None]] = {
    "grey": _grey,
    "colour cast": _cast,
    "saturation": _saturation,
    "brightness": _brightness,
    CORNERS: _corners,
    "contrast": _contrast,
    "blur": _blur,
    "noise": _noise,
    "size": _size,
    "aspect": _aspect,
    "jpeg quality": _quality,
}


def _tones(photographs: Photographs) -> np.ndarray:
    """(3, Q) typical tones of the channels."""
    return np.asarray(np.median([each.tones for each in photographs], axis=0))


def _median(photographs: Photographs, value: Callable[[PhotoProperties], float | None]) -> float:
    found = [number for each in photographs if (number := value(each)) is not None]
    return float(np.median(found)) if found else float("nan")
