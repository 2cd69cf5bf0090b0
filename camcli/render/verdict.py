"""What a network said of a picture, in a few words: one class, several labels, or a value."""

from __future__ import annotations

from camcli.cam.method_facts import TRAINED, of_no_class
from camcli.data.sources.label_tables import split_labels
from camcli.printable import percent
from camcli.result import Heat, Result

# So many labels are named with their probabilities; then it is said how many there are.
_NAMED = 4


def number(value: float) -> str:
    """A value for people: four digits, or all before the point.

    Example:
        >>> number(37.123456), number(-1234567.8), number(0.00001234)
        ('37.12', '-1,234,568', '1.234e-05')
    """
    if 1e4 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:#.4g}".removesuffix(".") if value else "0"


def said(heat: Heat) -> str | None:
    """The probability or the value of what a map explains; None where neither is known."""
    if heat.value is not None:
        return number(heat.value)
    return None if heat.prob is None else percent(heat.prob, 1)


def headline(result: Result) -> tuple[str | None, str | None]:
    """What was predicted, and how sure.

    Returns:
        The class and its probability; the labels with theirs; that there is none, and the best; or
        what is measured, and its value. None where there is nothing to say.
    """
    if result.value is not None:
        return result.heats[0].target if result.heats else "value", number(result.value)
    if result.pred is None or result.prob is None:
        return result.pred, None
    if not is_multi_label(result):
        return result.pred, percent(result.prob, 1)
    if not result.positives:
        return "no label", f"best: {result.pred} {percent(result.prob, 1)}"
    if len(result.positives) == 1:
        (name, prob), *_ = result.positives
        return name, percent(prob, 1)
    named = ", ".join(f"{name} {percent(prob, 1)}" for name, prob in result.positives[:_NAMED])
    more = len(result.positives) - _NAMED
    return named + (f" and {more} more" if more > 0 else ""), None


def title(result: Result) -> tuple[str, str]:
    """The same in less room: of several labels their names alone.

    Returns:
        What was predicted; and how sure, empty where that has no room.
    """
    if len(result.positives) > 1:
        return ", ".join(name for name, _ in result.positives), ""
    if result.value is None and result.prob is not None and not is_multi_label(result):
        return str(result.pred), percent(result.prob)
    what, sure = headline(result)
    return str(what), sure or ""


def named(result: Result, heat: Heat) -> bool:
    """Whether `headline` has the probability of what a map explains already."""
    if result.positives:
        return any(name == heat.target for name, _ in result.positives[:_NAMED])
    return heat.target == result.pred


def truth(result: Result) -> str | None:
    """The true class, or the true labels with commas between; None where it is not known."""
    if result.labels is not None or (is_multi_label(result) and result.ref.label is not None):
        # As they were given: what the network does not know is among them.
        return ", ".join(split_labels(result.ref.label or "")) or "no label"
    return result.ref.label


def explained(result: Result, heat: Heat) -> bool:
    """Whether it goes without saying that a map explains this: it is all that was predicted.

    A map that is the same for every class explains none, so there is nothing to say either.
    """
    if result.value is not None or of_no_class(result.method):
        return True
    if is_multi_label(result):
        return [name for name, _ in result.positives] == [heat.target]
    return heat.target == result.pred


def nothing(heat: Heat, method: str | None) -> str:
    """What there is to say of an empty map.

    Args:
        heat: the map.
        method: its method's name.
    """
    if method == TRAINED.name:
        return "nothing like what was boxed"
    if of_no_class(method):
        return "nothing in the map"
    return "no positive evidence" if heat.value is None else "nothing raises it"


def is_multi_label(result: Result) -> bool:
    """Whether it is of a network whose labels do not exclude each other."""
    return bool(result.numbers) and result.value is None
