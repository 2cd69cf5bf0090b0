"""Which threshold of boxes is right for the maps of a network: what was asked, or calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from camcli.cam.map_options import MapOptions
from camcli.errors import UsageError
from camcli.models.classifier import Classifier
from camcli.models.loading.box_calibration import TABLE, Calibration
from camcli.printable import printable

# Of the maps that a calibration is of: in words, for what differs.
_CALLED = {
    "network": "the network", "sha256": "the network's weights", "method": "--method",
    "layer": "--layer", "score": "--score", "fit": "--fit", "size": "--input-size",
    "width": "--input-size", "smooth": "--smooth", "fuse": "--fuse", "versus": "--versus",
}  # fmt: skip


def described(how: MapOptions, classifier: Classifier) -> dict[str, str | int | float]:
    """What decides the maps of a network, so that a threshold of some is not taken for others.

    Methods that have one map up to a positive factor, as CAM and Grad-CAM of a linear head, are
    one method here.

    Args:
        how: method and options, as `camcli.cam.map_options.settled` leaves them.
        classifier: the network.
    """
    facts, ready = how.method, classifier.preprocess
    linear = classifier.head is not None
    width = {} if ready.width is None else {"width": ready.width}
    sha256 = classifier.provenance.sha256
    options = {name: value for name, value in how.options().items() if name != TABLE}
    return {
        "network": classifier.provenance.name,
        **({"sha256": sha256} if sha256 else {}),
        "method": facts.equals if facts.equals and linear else facts.name,
        "layer": "all" if facts.network else classifier.layer,
        **({"score": how.score or facts.score} if facts.class_specific else {}),
        "fit": ready.fit,
        "size": ready.size,
        **width,
        **options,
    }


def chosen(how: MapOptions, classifier: Classifier) -> tuple[MapOptions, str]:
    """The same with the threshold that is right for these maps, and what to tell the user of it.

    Args:
        how: settled; its ``box`` is what was asked for, if anything was.
        classifier: the network, whose checkpoint may have been calibrated.

    Returns:
        `how`, whose ``box`` is a share or ``otsu`` or None for the usual share; and a sentence,
        empty where nothing was chosen for the user.

    Raises:
        UsageError: the file that was asked for has no threshold of these maps.
    """
    if how.box is None:
        maps = {n: v for n, v in described(how, classifier).items() if n not in _NETWORK}
        for each in classifier.boxes:
            if {n: v for n, v in each.maps.items() if n not in _NETWORK} == maps:
                return replace(how, box=each.share), _told(each, "as the checkpoint says")
        return how, ""
    if not isinstance(how.box, tuple):
        return how, ""
    maps = described(how, classifier)
    for each in how.box:
        if not _differing(each.maps, maps):
            return replace(how, box=each.share), _told(each, "as calibrated")
    nearest = min(how.box, key=lambda each: len(_differing(each.maps, maps)))
    differ = _differing(nearest.maps, maps)
    words = "; ".join(
        f"{_CALLED.get(name, name)} was {_value(nearest.maps.get(name))} and is "
        f"{_value(maps.get(name))}"
        for name in differ
    )
    raise UsageError(
        f"The threshold of boxes was chosen for other maps: {words}. Ask for the same, calibrate "
        "again with 'camcli evaluate --calibrate', or give the number itself: --box-threshold "
        f"{nearest.share:g}."
    )


# Which network it is goes without saying in its own checkpoint, whose copies have other digests.
_NETWORK = ("network", "sha256")


def _differing(
    one: Mapping[str, str | int | float], other: Mapping[str, str | int | float]
) -> list[str]:
    """What two sorts of maps do not share; networks are told apart by their weights where known."""
    names = [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]
    if "sha256" in one and "sha256" in other:
        names = [name for name in names if name != "network"]
    return names


def _value(value: object) -> str:
    return "the usual" if value is None else printable(str(value)[:40])


def _told(each: Calibration, whose: str) -> str:
    count = each.found.get("photographs")
    by = f", by {count} photographs" if isinstance(count, int) else ""
    return f"Boxes go around what is above {each.share:.3g} of a map's maximum, {whose}{by}."
