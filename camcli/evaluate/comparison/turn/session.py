"""What ``camcli evaluate`` asks of each network, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from camcli.errors import UsageError
from camcli.evaluate.comparison.questions.wanted import NOTHING
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from collections.abc import Callable

    from camcli.cam.map_options import MapOptions
    from camcli.data.sources.refs import ImageRef
    from camcli.evaluate.comparison.questions.questions import Questions
    from camcli.evaluate.comparison.questions.truths import Truths
    from camcli.evaluate.comparison.rows.answers import Answers
    from camcli.evaluate.comparison.rows.losses import Losses
    from camcli.evaluate.comparison.turn.network_turn import NamedBy
    from camcli.evaluate.comparison.turn.networks import ComparedNetwork

    # Photographs, their labels as a network's classes are called: `Source.renamed`.
    Named = Callable[[Sequence[ImageRef], tuple[str, ...]], list[ImageRef]]


def questions(truths: Truths, **more: Any) -> Questions:
    """What is measured, with these annotations.

    Args:
        truths: the annotations.
        more: the other fields of `Questions`.
    """
    from camcli.evaluate.comparison.questions.questions import Questions
    from camcli.evaluate.measured.annotations import Annotations

    return Questions(annotations=Annotations(truths.boxes, truths.masks, truths.trimap), **more)


def check_labels(
    refs: Sequence[ImageRef], networks: Sequence[ComparedNetwork], named: Named
) -> None:
    """Refuse to judge predictions where no photograph has a label that says what is right.

    Args:
        refs: the photographs.
        networks: where the classes of all are known beforehand, labels are looked up in these.
        named: photographs as a network's classes are called.

    Raises:
        UsageError: there is no label, or none that could be a class.
    """
    from camcli.models.classes.label_index import label_indices

    labels = {ref.label for ref in refs if ref.label is not None}
    if not labels:
        raise UsageError(NOTHING)
    for network in networks:
        known = network.known_classes
        if known is None:
            return
        labels = {ref.label for ref in named(refs, known) if ref.label is not None}
        if any(label_indices(label, known) is not None for label in labels):
            return
    raise UsageError(NOTHING)


def ask_all(
    networks: Sequence[ComparedNetwork],
    refs: Sequence[ImageRef],
    hows: dict[str, MapOptions],
    ask: Questions,
    *,
    confidence: float | None,
    sanity: bool,
    named: NamedBy,
    listener: Listener,
    losses: Losses,
    labeller: object = None,
    sanity_if: bool = False,
    timed: bool = False,
    calibrating: Mapping[str, Any] | None = None,
    attentive: Mapping[str, MapOptions] | None = None,
    only_labels: bool = False,
) -> Answers:
    """Evaluate the networks one after the other; only one is in memory at a time.

    What can be refused is refused before any of them is asked. What fails after something was
    measured costs itself, and a person who stops it gets what was measured until then.

    Args:
        networks: those of the table.
        refs: the photographs.
        hows: methods by name.
        ask: what to measure.
        confidence: also the accuracy of predictions at least this probable.
        sanity: also whether the maps depend on what the network learned.
        named: photographs as a network's classes are called.
        listener: hears what is going on.
        losses: told of what could not be measured.
        labeller: where the labels are from, such as a table.
        sanity_if: the same where the network allows it; else it is said why not.
        timed: say beforehand how long each network will take, by its first photograph.
        calibrating: boxes by which the thresholds of boxes are chosen, by relative path.
        attentive: methods that are compared as well on a network on which ``auto`` follows
            attention.
        only_labels: whether nothing is to be measured but predictions.

    Raises:
        UsageError: a network cannot be asked this, or there was nothing that could be measured.
    """
    from camcli.evaluate.comparison.rows.columns import CLASSIFICATION, CONTROLS
    from camcli.evaluate.comparison.turn.network_turn import NetworkTurn

    turn = NetworkTurn(
        refs, hows, ask, confidence, sanity, named, listener, losses, labeller, sanity_if, timed,
        calibrating or {}, attentive or {}, only_labels, several=len(networks) > 1,
    )  # fmt: skip
    found = turn.found
    # From the last to the first, which is the one that is open then.
    opened = None
    for network in reversed(networks):
        opened = None  # before the next one takes memory
        opened = turn.opened(network, listener if network is networks[0] else Listener())
    for number, network in enumerate(networks):
        try:
            turn.take(network, opened or turn.opened(network, listener), first=number == 0)
        except Exception as error:
            if not found:
                raise
            begun = any(row.model == network.name for row in found.rows)
            losses.add(error, "further measures" if begun else "measures", of=network.name)
        except BaseException as error:
            if not found:
                raise
            found.stopped = error
            found.partial.append(f"{network.name} was stopped before all of it was measured.")
        opened = None
        if found.stopped:
            found.partial += [f"{each.name} was not measured." for each in networks[number + 1 :]]
            break
    if not found:
        if found.stopped:
            raise found.stopped
        why = turn.lost or next(iter([*losses.sentences, *sorted(found.failures)]), "")
        raise UsageError(f"Nothing could be measured: {why}" if why else NOTHING)
    if turn.lost:
        listener.warn(turn.lost)
    # What the networks say, what knows nothing of them, and the methods: in each table alike.
    found.rows.sort(key=lambda row: (row.method != CLASSIFICATION, row.method not in CONTROLS))
    return found
