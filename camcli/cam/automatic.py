"""Which method ``--method auto`` is, once the network is known: the one that suits how it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from camcli.cam.map_options import MapOptions
from camcli.cam.method_facts import AUTO, FACTS

if TYPE_CHECKING:
    from camcli.models.classifier import Classifier

USUAL = "gradcam"
"""What ``auto`` was before it had a name."""


def suited(how: MapOptions, classifier: Classifier, *, signed: bool = False) -> MapOptions:
    """The same with the method that ``auto`` means for a network; another method stays.

    Args:
        how: method and options.
        classifier: the network, cut where maps are made.
        signed: whether the map must also show what speaks against a class.

    Returns:
        Options whose `MapOptions.chosen` says which method it is, and why.
    """
    if how.method.name != AUTO.name:
        return how
    name, why = _suited(how, classifier, signed)
    return replace(how, method=FACTS[name], chosen=f"Maps by {name}, {why} (--method auto).")


def each_suited(hows: dict[str, MapOptions], classifier: Classifier) -> dict[str, MapOptions]:
    """The same of several methods by their names; ``auto`` goes where it is one of the others."""
    found: dict[str, MapOptions] = {}
    for name, how in hows.items():
        which = suited(how, classifier)
        key = which.method.name if which is not how else name
        if which is how or key not in hows:
            found[key] = which
    return found


def _suited(how: MapOptions, classifier: Classifier, signed: bool) -> tuple[str, str]:
    """The method's name, and why it is taken."""
    # These need torch, and commands come here before it is imported.
    from camcli.cam.explainer import heads_of, why_no_attention_of
    from camcli.models.reference.compared import references_of

    if references_of(classifier):
        return (
            USUAL,
            "which is DiffCAM of a difference, by the channels in which a photograph differs",
        )
    if all(heads_of(how, classifier)):
        return USUAL, "exact where maps are averaged and one linear layer follows"
    # It has no channels whose principal component could be taken.
    able = _reads_a_token(classifier) and not signed and how.smooth != "eigen"
    if able and why_no_attention_of(classifier) is None:
        return "legrad", "by the attention of all blocks of a transformer with a class token"
    return USUAL, "which any network has, by the gradient at the explained maps"


def _reads_a_token(classifier: Classifier) -> bool:
    """Whether a class token passes the last map by, and no other layer was asked for."""
    halves = classifier.cut
    if halves is None or not halves.gradients or not classifier.usual_layer:
        return False
    return len(halves.places) == 1 and any(halves.places[0].batched)
