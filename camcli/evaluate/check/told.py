"""What each kind of issue is called, what it means, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from camcli.evaluate.check.issue import CheckIssue
from camcli.evaluate.findings.finding import Finding, Sighting
from camcli.printable import counted


@dataclass(frozen=True, slots=True)
class KindTold:
    """One kind.

    Attributes:
        one: of a count of one: ``photograph whose label is probably wrong``.
        several: of others.
        words: what it means, a sentence or two.
        advice: what to do.
        about_photos: whether single photographs can be listed for it.
    """

    one: str
    several: str
    words: str
    advice: str
    about_photos: bool = True


KINDS: dict[str, KindTold] = {
    "unreadable": KindTold(
        "file that cannot be read", "files that cannot be read",
        "Training and batches leave them out, with a line each.",
        "Copy or download them again, or remove them.",
    ),
    "duplicate of another label": KindTold(
        "copy with another label", "copies with other labels",
        "The same photograph is labelled in two ways: one of them is wrong.",
        "Look at each pair, keep the right one, and remove the other.",
    ),
    "duplicate across splits": KindTold(
        "photograph with a copy in another split", "photographs with a copy in another split",
        "What is tested was trained on: figures on that split are too good.",
        "Remove them from val or test, or split anew with copies kept together (--group).",
    ),
    "suspect label": KindTold(
        "label that is probably wrong", "labels that are probably wrong",
        "A classifier that was not trained on them says something else (cross-validation and "
        "confident learning). Hard photographs are among them; the clearest come first.",
        "Look at them from the top, relabel or remove what is wrong, and stop where labels begin "
        "to be right: what is merely hard is worth keeping.",
    ),
    "exact duplicate": KindTold(
        "exact duplicate", "exact duplicates",
        "The same bytes, or the same pixels in another file.",
        "Remove them: each counts twice in training, and in every figure.",
    ),
    "near duplicate": KindTold(
        "near duplicate", "near duplicates",
        "Copies that were cropped, mirrored, saved again or lit otherwise, or the next frame of a "
        "video.",
        "Keep one of each, or keep all of them in one split (--group).",
    ),
    "outlier": KindTold(
        "photograph unlike all others", "photographs unlike all others",
        "Far from its nearest neighbours, as the network sees it.",
        "Remove what does not belong (a scan, a logo, a screenshot); a rare view of the right "
        "thing is worth keeping, and worth more of its kind.",
    ),
    "blank": KindTold(
        "blank picture", "blank pictures", "One colour all over.", "Remove them."
    ),
    "dark": KindTold(
        "very dark picture", "very dark pictures", "Hardly anything is lighter than black.",
        "Look whether the object can be seen; if not, remove them.",
    ),
    "bright": KindTold(
        "very bright picture", "very bright pictures", "Nearly all of it is white.",
        "Look whether the object can be seen; if not, remove them.",
    ),
    "blurred": KindTold(
        "blurred picture", "blurred pictures", "No edge is sharp, not even as small as the network "
        "sees it.",
        "Keep them if the network will meet such pictures, and remove them otherwise.",
    ),
    "tiny": KindTold(
        "tiny picture", "tiny pictures", "A fraction of the pixels of the others.",
        "Find the originals: these may be thumbnails.",
    ),
    "odd aspect": KindTold(
        "picture of an odd shape", "pictures of an odd shape",
        "Much longer or narrower than the others: a crop of the middle misses most of it.",
        "Crop them to the object, or use --fit pad.",
    ),
    "small class": KindTold(
        "class with too few photographs", "classes with too few photographs",
        "Too few to learn from, or to measure with.",
        "Add photographs, merge it with another class, or --class-weights balanced.", False,
    ),
    "telling property": KindTold(
        "property that tells classes apart", "properties that tell classes apart",
        "A network can learn this instead of the object.",
        "Make the classes alike in it before training (the same camera, size, compression ...), "
        "and 'camcli audit' shows whether a trained network uses it.", False,
    ),
}  # fmt: skip
"""By kind, in the order in which they are shown."""


_WORSE = ("duplicate of another label", "duplicate across splits")
"""Kinds of copies that are worse than that there are two."""


def findings_of(
    issues: Sequence[CheckIssue], looked: int, telling: Sequence[Finding] = ()
) -> tuple[Finding, ...]:
    """Issues by kind, as the terminal and the page show them.

    Args:
        issues: all of them.
        looked: photographs that were looked at.
        telling: findings that are made already.
    """
    by_kind: Mapping[str, list[CheckIssue]] = {kind: [] for kind in KINDS}
    for issue in issues:
        by_kind[issue.kind].append(issue)
    worse = {i.rel for kind in _WORSE for i in by_kind[kind]}
    found: list[Finding] = []
    for kind, own in by_kind.items():
        told = KINDS[kind]
        if kind == "telling property":
            found += telling
        elif own:
            words = told.words
            if kind in ("exact duplicate", "near duplicate"):
                # What is told first is what nobody has read yet.
                own = sorted(own, key=lambda issue: issue.rel in worse)
                again = sum(issue.rel in worse for issue in own)
                if again:
                    which = "all" if again == len(own) else str(again)
                    words += f" Told above already: {which}."
            if not told.about_photos:
                words += " " + "; ".join(f"{i.label}: {i.note}" for i in own[:20])
                words += f"; and {len(own) - 20} more." if own[20:] else "."
            found.append(
                Finding(
                    kind, None, "data", counted(len(own), told.one, told.several), words,
                    told.advice,
                    tuple(
                        Sighting(i.rel, None, i.note, i.score, i.other)
                        for i in own
                        if i.rel is not None
                    ),
                    present=len(own) if told.about_photos else 0,
                    # Of those that cannot be read, none was looked at further.
                    looked=looked + len(own) * (kind == "unreadable") if told.about_photos else 0,
                )
            )  # fmt: skip
    return tuple(found)
