"""The one record that everything downstream consumes."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from camcli.data.decode.preprocess import View
from camcli.data.sources.refs import ImageRef

Status = Literal["ok", "empty", "error"]


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """One heatmap of one image, for one target class.

    Attributes:
        target: name of the class that the map explains.
        index: its index.
        prob: probability of the class, in [0, 1]; None of a value.
        heatmap: (h, w) float32, signed and unscaled, as the method defines it.
        x: horizontal centre of mass of the positive heat, in [0, 1] of the photograph; None if
            the map is empty.
        y: vertical centre of mass, likewise.
        box: (x0, y0, x1, y1) in pixels of the photograph: the largest component above a threshold,
            20% of the maximum (Zhou et al. 2015) unless another was asked for or calibrated; None
            if the map is empty.
        area: share of the pixels that the network saw with more than half of the maximum.
        border: share of the heat in the outer tenth of what the network saw.
        empty: nothing positive in the map: there is no evidence to show.
        value: what the network says where its outputs are values and no classes; else None.
    """

    target: str
    index: int
    prob: float | None
    heatmap: np.ndarray
    x: float | None = None
    y: float | None = None
    box: tuple[int, int, int, int] | None = None
    area: float = 0.0
    border: float = 0.0
    empty: bool = False
    value: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What was found out about one input image; also when it could not be read.

    Attributes:
        ref: the image.
        status: ``ok``; ``empty`` when the first map holds no positive evidence; ``error``.
        error: one sentence when status is ``error``, else None.
        pred: name of the predicted class, of labels the likeliest, whether or not it is among
            `positives`; None of values, and on error, as everything below.
        pred_index: its index.
        prob: its probability.
        correct: whether the prediction is the label, of a network of labels whether `positives`
            are `labels`, all of them and no other, apart from `unknown`; None when the label is
            unknown, or names none of the network's classes.
        top: the best classes as (name, probability), best first; empty of values.
        positives: of a network whose labels do not exclude each other, all with a probability
            above their threshold, likewise; empty for other networks.
        labels: of such a network the true labels' names; None where they are not known.
        unknown: of such a network the names of those labels of which nobody knows whether they are
            true, where the others are known.
        numbers: of such a network the probability of each label, and of one that measures each of
            its values, in the order of its classes; empty for other networks.
        value: the value that the first map explains; None of networks that have classes.
        method: name of the CAM method.
        layer: name of the layer that was explained.
        score: what number of a class the maps explain: ``logit``, ``probability`` or ``contrast``;
            None of methods that look at no class.
        versus: name of the class that the maps' classes are compared with, if any.
        heats: one map for each explained class; the first fills the CSV's columns.
        truth: map of the true class, where it was asked for, is known and is not among `heats`.
        features: what the photograph is to the network, (n,) float16 of length 1, where asked for:
            the averages of the last layer that is explained, at most 128 projections of them.
        difference: map of the logit of `pred` minus that of `against`, signed, where it was asked
            for and its method has one; of its numbers only `Heat.heatmap` and `Heat.empty` are
            set.
        against: name of the class that `difference` compares with: the true one of a mistake, else
            the second best.
        view: the part of the photograph that the network saw, (x0, y0, x1, y1) in its pixels.
        width: of the photograph, after EXIF rotation, in pixels.
        height: likewise.
        overlay: path of the written overlay relative to the run directory, if one was written.
        beside: the same image by other methods, where several were asked for, in their order.
    """

    ref: ImageRef
    status: Status = "ok"
    error: str | None = None
    pred: str | None = None
    pred_index: int | None = None
    prob: float | None = None
    correct: bool | None = None
    top: tuple[tuple[str, float], ...] = ()
    positives: tuple[tuple[str, float], ...] = ()
    labels: tuple[str, ...] | None = None
    unknown: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    value: float | None = None
    method: str | None = None
    layer: str | None = None
    score: str | None = None
    versus: str | None = None
    heats: tuple[Heat, ...] = ()
    truth: Heat | None = None
    features: np.ndarray | None = None
    difference: Heat | None = None
    against: str | None = None
    view: View | None = None
    width: int | None = None
    height: int | None = None
    overlay: str | None = None
    beside: tuple[Result, ...] = ()

    def _repr_html_(self) -> str:
        # By name: drawing is a room that knows this file, and not the other way round.
        notebook = importlib.import_module("camcli.render.notebook")
        return str(notebook.result_html(self))
