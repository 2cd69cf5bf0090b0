"""Which methods have a map of the difference of two classes; known without torch."""

from __future__ import annotations

from camcli.cam.method_facts import FACTS, Facts

STRAIGHT = ("cam", "gradcam", "hirescam", "xgradcam", "shapleycam", "reciprocam")
"""Of these the map of S_a - S_b is the map of S_a minus that of S_b."""

ONE_MORE = ("legrad", "attnlrp")
"""Of these a map of a difference takes one more pass backwards, through what was seen already."""
UNCUT = ("legrad",)
"""Of these, which keep what is positive, the map of S_a - S_b with what is negative is the map of
S_a - S_b minus that of S_b - S_a: max(d, 0) - max(-d, 0) = d."""


def why_no_difference(
    method: Facts,
    *,
    smooth: str | None = None,
    several_layers: bool = False,
    output: str = "softmax",
    several_labels: bool = False,
) -> str | None:
    """Why no map of the difference of two classes is made, in a clause; None where one may be.

    Args:
        method: which CAM.
        smooth: how its maps are smoothed.
        several_layers: whether the maps of several layers become one.
        output: what the network's outputs are.
        several_labels: whether several of them can be right at once.
    """
    if output == "none":
        return "the network's outputs are values, and no classes"
    if several_labels or output == "sigmoid":
        return "labels do not exclude each other, so none stands against another"
    if not method.class_specific:
        return f"{method.name} shows the same map for every class"
    if several_layers:
        return "the maps of several layers are cut off at zero before they become one"
    if smooth == "views":
        return "the maps of both views are cut off at zero before they become one"
    if smooth == "eigen" or not (method.signed or method.weighted or method.network):
        return "a principal component has no side that is for a class and one that is against it"
    whole = FACTS.get(method.name, method).place(named=False) and method.name not in ONE_MORE
    if method.images or whole or smooth is not None:
        what = f"--smooth {smooth}" if smooth else method.name
        return f"{what} takes many passes, or one backwards through all of the network"
    return None
