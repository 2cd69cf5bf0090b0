"""What a finding of an audit says to a person: a title, a few sentences, what to do about it."""

from __future__ import annotations

from camcli.evaluate.findings.finding import Effect, HeatShare, Measured, Verdict
from camcli.evaluate.findings.suspect import Suspect
from camcli.evaluate.proof.verdict import FEWEST
from camcli.printable import counted, percent, printable

FILES = ("file format", "camera", "software", "date", "size", "jpeg quality")
"""Kinds that may be about the file alone: where they have no `Change`."""
INVISIBLE = (
    "No network sees it, but the next training may use what goes with it in the pictures, such as "
    "the light of another day"
)


def title(suspect: Suspect, verdict: Verdict) -> str:
    """One line: ``cat rests on a mark, bottom right``."""
    label = printable(suspect.label)
    if verdict == "used":
        return f"{label} rests on {suspect.what}"
    if verdict == "not used":
        return f"{label} has {suspect.what}, and does not rest on it"
    if _invisible(suspect):
        return f"{label} can be told by {suspect.what}, which no pixel shows"
    return f"{label} has {suspect.what}; whether it rests on it is not known"


def words(
    suspect: Suspect,
    verdict: Verdict,
    remove: Effect | None,
    add: Effect | None,
    why: str | None = None,
    heat: HeatShare | None = None,
) -> str:
    """A few sentences with the numbers.

    Args:
        suspect: what it is about.
        verdict: what was shown.
        remove: what taking it away did.
        add: what putting it on did.
        why: it was not tried, as a clause.
        heat: how much of the evidence lies on it.
    """
    label = printable(suspect.label)
    told = [_where(suspect)]
    if verdict == "unproved":
        if _invisible(suspect):
            told.append(f"{INVISIBLE}.")
        else:
            if suspect.change is None:
                why = why or "its photographs are not at hand, or it cannot be changed in them"
            tried = "; ".join(_effects(label, remove, add))
            chance = f"that may be chance, with so few photographs: {tried}"
            told.append(f"Whether {label} rests on it is not known: {why or chance}.")
        return " ".join(told)
    if verdict == "not used":
        told += [f"{_capital(each)}." for each in _effects(label, remove, add)]
        told += [f"It counts, but it does not decide: {_low(each)}"
                 for each in _odds(label, remove, add)[:1]]  # fmt: skip
        return " ".join(told)
    told += [f"{_capital(each)}." for each in _effects(label, remove, add)]
    told += _odds(label, remove, add)
    if heat is not None:
        told.append(
            f"{percent(heat.share)} of the evidence for {label} lies on it, and it covers "
            f"{percent(heat.area)} of the picture."
        )
    return " ".join(told)


def _invisible(suspect: Suspect) -> bool:
    """Whether it is about the files: what no change of pixels could take away."""
    return suspect.change is None and suspect.kind in FILES


def _where(suspect: Suspect) -> str:
    """In how many photographs it is."""
    label = printable(suspect.label)
    there = f"In {suspect.present} of {counted(suspect.looked, 'photograph')} predicted {label}"
    if suspect.elsewhere_looked:
        there += f" ({suspect.elsewhere} of {suspect.elsewhere_looked} predicted otherwise)"
    return f"{there}."


def _effects(label: str, remove: Effect | None, add: Effect | None) -> list[str]:
    told = []
    if remove is not None:
        told.append(
            f"{remove.how}, {shown(remove.changed)} of {remove.photographs} are no longer {label} "
            f"({_beside(remove)})"
        )
    if add is not None:
        told.append(
            f"{add.how}, {shown(add.changed)} of {add.photographs} others become {label} "
            f"({_beside(add)})"
        )
    return told


def _odds(label: str, remove: Effect | None, add: Effect | None) -> list[str]:
    """What happened to the log-odds, where it is clear of the control."""
    told = []
    if remove is not None and remove.log_odds.high < min(0, remove.control_log_odds.low):
        told.append(
            f"Without it the log-odds of {label} change by {remove.log_odds.value:+.1f} (with the "
            f"control by {remove.control_log_odds.value:+.1f})."
        )
    elif add is not None and add.log_odds.low > max(0, add.control_log_odds.high):
        told.append(
            f"With it the log-odds of {label} change by {add.log_odds.value:+.1f} (with the "
            f"control by {add.control_log_odds.value:+.1f})."
        )
    return told


def _beside(effect: Effect) -> str:
    return f"{percent(effect.control.value)} with {effect.control_is}"


def shown(measured: Measured) -> str:
    """A share with its 95% interval in percent: ``86% [74, 93]``."""
    return f"{percent(measured.value)} [{100 * measured.low:.0f}, {100 * measured.high:.0f}]"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def advice(suspect: Suspect, verdict: Verdict) -> str:
    """What to do about it."""
    told = _DO.get(suspect.kind, _ELSE).format(label=printable(suspect.label))
    if verdict == "used":
        return f"{told} Then train again, and audit again."
    if verdict == "not used" or _invisible(suspect):
        return f"Before the next training: {_low(told)}"
    return (
        f"Look at the photographs, and audit again with at least {FEWEST} of each class. If it is "
        f"what tells {printable(suspect.label)} from the others: {_low(told)}"
    )


def _low(text: str) -> str:
    return text[:1].lower() + text[1:]


_ELSE = "Collect photographs of {label} without it, or of the other classes with it."
_OTHERS = "or collect {label} without it and other classes with it"
_DO = {
    "mark": "Crop or paint it over in all photographs, or collect {label} without it; pasted on "
    "photographs of all classes alike, it tells nothing any more either.",
    "frame": "Cut the border off in all photographs (of new ones, too, before they are looked at), "
    "or put it around those of all classes alike.",
    "stray": "Look at what is there. If it does not belong to {label}, paint it over, "
    + _OTHERS
    + ".",
    "corner": "Look at what is in that corner. If it does not belong to {label}, crop it off in "
    "all photographs, " + _OTHERS + ".",
    "border": "Look at what is at the border. If it does not belong to {label}, crop all "
    "photographs to the same margin, " + _OTHERS + ".",
    "size": "Bring all photographs to one size in one way, " + _OTHERS + ".",
    "aspect": "Crop all photographs to one shape, " + _OTHERS + ".",
    "brightness": "Vary the brightness in training (augmentation), or collect the classes in the "
    "same light.",
    "contrast": "Vary the contrast in training (augmentation), or collect the classes in the same "
    "light.",
    "colour cast": "Take the cast off (white balance), vary colours in training (augmentation), or "
    "collect the classes in the same light.",
    "saturation": "Vary the saturation in training (augmentation), or collect the classes with the "
    "same camera and settings.",
    "grey": "Make all photographs grey, or collect {label} in colour.",
    "blur": "Collect sharp photographs of {label}, or blur those of all classes alike in training "
    "(augmentation).",
    "noise": "Collect the classes with the same camera and settings, or add noise to all alike in "
    "training (augmentation).",
    "jpeg quality": "Write all photographs anew with one quality from the best copies there are, "
    "or vary the quality in training (augmentation).",
    "file format": "Write all photographs anew in one format.",
    "camera": "Collect the classes with the same cameras; until then keep the photographs of one "
    "camera on one side of the split into training and test.",
    "software": "Export all classes with the same software and settings.",
    "date": "Collect the classes over the same days; until then keep those of one day on one side "
    "of the split into training and test.",
}
