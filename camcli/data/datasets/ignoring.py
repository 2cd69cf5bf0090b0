"""Labels that are none: ``unknown``, ``reject``, an empty cell. Nothing is learned from them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from camcli.data.datasets.dataset import Labelled
from camcli.data.sources.label_tables import join_labels, split_labels, unknown_labels
from camcli.errors import UsageError
from camcli.printable import counted, some

SAYS_NOTHING = (
    "?",
    "unknown",
    "unlabelled",
    "unlabeled",
    "undefined",
    "nan",
    "none",
    "null",
    "n/a",
)
"""What people write where they know nothing; such a class is learned, and it is said."""


def ignored_names(text: str | None) -> tuple[str, ...]:
    """The labels that ``--ignore-label`` names, ``|`` between them; ``''`` is the empty one.

    Example:
        >>> ignored_names("unknown|blurred"), ignored_names(""), ignored_names(None)
        (('unknown', 'blurred'), ('',), ())
    """
    if text is None:
        return ()
    empty = not text.strip() or text.strip().startswith("|") or text.strip().endswith("|")
    return (
        *(("",) if empty else ()),
        *split_labels(text),
        *(f"?{n}" for n in unknown_labels(text)),
    )


def without_labels(
    found: Sequence[Labelled], ignored: Sequence[str], several: bool
) -> tuple[list[Labelled], list[str]]:
    """The images without those that have an ignored label and no other, and a line about it.

    Where an image has several labels it loses those that are ignored, and stays if it has others.

    Args:
        found: labelled images.
        ignored: names of labels.
        several: whether an image has several labels, or none.

    Raises:
        UsageError: no image has such a label; names the nearest.
    """
    if not ignored:
        return list(found), []
    names = {n for x in found for n in _all(x.ref.label, several)}
    for name in ignored:
        if name and name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {some(sorted(names))}."
            raise UsageError(f"--ignore-label: no image is labelled {name!r}; {hint}")
    kept, dropped, changed = [], 0, 0
    for x in found:
        label = x.ref.label or ""
        own = _all(label, several) or ("",)
        left = [n for n in own if n not in ignored]
        if not left:
            dropped += 1
        elif len(left) < len(own) and several:
            known = [n for n in split_labels(label) if n not in ignored]
            unknown = [n for n in unknown_labels(label) if n not in ignored]
            changed += 1
            kept.append(x.with_label(join_labels(known, unknown)))
        else:
            kept.append(x)
    told = some([repr(name) if name else "nothing" for name in ignored])
    notes = [f"Left out: {counted(dropped, 'image')} labelled {told}, as --ignore-label says."]
    if changed:
        notes.append(f"Of {counted(changed, 'image')} with other labels, too, those count.")
    return kept, notes


def doubtful_names(classes: Sequence[str]) -> list[str]:
    """A line on classes whose names say that nobody knows."""
    odd = [name for name in classes if name.strip().lower() in SAYS_NOTHING]
    if not odd or len(classes) - len(odd) < 2:
        return []
    return [
        f"Learned as a class like the others: {some(odd)}; --ignore-label {odd[0]!r} leaves its "
        "images out."
    ]


def _all(label: str | None, several: bool) -> tuple[str, ...]:
    """The names in a label, known or not."""
    if not several:
        return (label or "",)
    return split_labels(label or "") + unknown_labels(label or "")
