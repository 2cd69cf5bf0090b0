"""The row of a network's localizer: beside the methods, where things are annotated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from camcli.cam.map_options import MapOptions, make_map_options
from camcli.cam.method_facts import TRAINED
from camcli.data.sources.refs import ImageRef
from camcli.evaluate.comparison.questions.questions import Questions
from camcli.models.classifier import Classifier
from camcli.printable import counted
from camcli.train.feature_pass.features import hash_files
from camcli.train.progress import Listener


def with_localizer(
    name: str,
    classifier: Classifier,
    refs: Sequence[ImageRef],
    hows: dict[str, MapOptions],
    ask: Questions,
    listener: Listener,
) -> tuple[dict[str, MapOptions], Questions]:
    """The methods with that of the network's localizer, and what is asked of them.

    It is measured by boxes and masks alone, and never on photographs that it learnt from.

    Args:
        name: the network's, in the table.
        classifier: the network.
        refs: the photographs.
        hows: methods by name.
        ask: what is measured.
        listener: told of what does not count.
    """
    found = classifier.localizer
    if found is None or found.layer != classifier.layer:
        return hows, ask
    if not ask.annotations:
        if TRAINED.name in hows:
            listener.say(
                f"{TRAINED.name} explains nothing, so it is measured by --boxes and --masks alone."
            )
        return hows, ask
    learnt = set(found.learnt)
    refs = [ref for ref in refs if ref.rel in ask.annotations]
    known = frozenset(
        ref.rel for ref, file in zip(refs, hash_files(refs), strict=True) if file in learnt
    )
    many = counted(len(refs), "annotated photograph")
    if known and len(known) == len(refs):
        listener.say(
            f"{name}: the {many} taught {TRAINED.name}, which has no row here: measure it on "
            "others."
        )
    elif known:
        listener.say(
            f"{name}: of {many} {len(known)} taught {TRAINED.name}, whose row does not count "
            f"{'it' if len(known) == 1 else 'them'}."
        )
    rows = {method: how for method, how in hows.items() if method != TRAINED.name}
    if len(known) < len(refs):
        rows[TRAINED.name] = hows.get(TRAINED.name) or make_map_options(TRAINED.name)
    return rows, replace(ask, without={**ask.without, TRAINED.name: known})
