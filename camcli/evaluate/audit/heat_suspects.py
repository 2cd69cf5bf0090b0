"""Places that draw the heat of one class, as suspects that are proved like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from camcli.evaluate.audit.audit import LEAST, Suspicion
from camcli.evaluate.audit.heat_changes import BorderChange, PlaceChange
from camcli.evaluate.audit.map_stats import CORNER, Fact
from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.findings.suspect import Change, Region, Suspect

DONORS = 24  # photographs that a place is cut out of, those that show it best
CORNERS = ("top left", "top right", "bottom left", "bottom right")


def heat_suspects(
    facts: Sequence[Fact],
    found: Sequence[Suspicion],
    photos: Mapping[str, AuditedPhoto] | None = None,
    pixels: PixelCache | None = None,
) -> list[Suspect]:
    """The suspicions of the heat as suspects.

    Args:
        facts: of all photographs.
        found: what `camcli.evaluate.audit.audit.suspicions` makes of them.
        photos: by relative path; None where the photographs are not at hand.
        pixels: reads them; None likewise. Without them there is no `Change`.

    Returns:
        The strongest first; each with the correct predictions of the class that have it.
    """
    right = [f for f in facts if f.right and not f.empty]
    suspects = [_suspect(s, right, photos, pixels) for s in found]
    return [s for s in suspects if s is not None]


def _suspect(
    suspicion: Suspicion,
    right: Sequence[Fact],
    photos: Mapping[str, AuditedPhoto] | None,
    pixels: PixelCache | None,
) -> Suspect | None:
    kind = suspicion.kind
    own = [f for f in right if f.pred == suspicion.label]
    others = [f for f in right if f.pred != suspicion.label]
    common, what = -1, "what is at the border"
    if kind == "corner":
        corners = [f.corner for f in own if f.corner >= 0]
        common = max(set(corners), key=corners.count)
        what = f"what is in the {CORNERS[common]} corner"
    elif kind == "stray":
        what = "something away from the object"
    least = (suspicion.value + suspicion.others) / 2

    def has(fact: Fact) -> bool:
        if kind == "corner":
            return fact.corner == common
        return bool((fact.border if kind == "border" else fact.stray) >= least)

    regions: dict[str, Region | None] = {}
    for fact in own:
        if not has(fact):
            continue
        if kind == "corner":
            regions[fact.rel] = _corner(common)
        elif kind == "border":
            regions[fact.rel] = None
        elif fact.stray_at is not None:
            regions[fact.rel] = fact.stray_at
    if len(regions) < LEAST:
        return None
    change: Change | None = None
    if photos is not None and pixels is not None:
        change = _change(kind, regions, own, others, has, photos, pixels)
    return Suspect(
        kind, suspicion.label, what, regions, len(own),
        sum(map(has, others)), len(others),
        min(1.0, max(0.0, suspicion.value - suspicion.others)),
        min(1.0, suspicion.p * len({f.pred for f in right})),
        change,
        having=frozenset(f.rel for f in others if has(f)),
    )  # fmt: skip


def _change(
    kind: str,
    regions: Mapping[str, Region | None],
    own: Sequence[Fact],
    others: Sequence[Fact],
    has: Callable[[Fact], bool],
    photos: Mapping[str, AuditedPhoto],
    pixels: PixelCache,
) -> Change:
    having = [f for f in own if f.rel in regions and f.rel in photos]
    donors = [photos[f.rel] for f in _best(having)[:DONORS]]
    without = [photos[f.rel] for f in others if f.rel in photos and not has(f)]
    if kind == "border":
        return BorderChange(donors, without, pixels)
    places = {rel: region for rel, region in regions.items() if region is not None}
    return PlaceChange(donors, without, pixels, places, {f.rel: f.thumb for f in having})


def _best(facts: Sequence[Fact]) -> list[Fact]:
    """Those whose stray evidence is most like the others' first: clutter is not what is meant."""
    patches = [f.patch for f in facts]
    if not patches or any(patch is None for patch in patches):
        return sorted(facts, key=lambda f: -f.prob)
    stack = np.stack([patch for patch in patches if patch is not None]).astype(np.float64)
    alike = (stack @ stack.T).mean(1)
    return [facts[n] for n in np.argsort(-alike, kind="stable")]


def _corner(number: int) -> Region:
    left, top = (1 - CORNER) * (number % 2), (1 - CORNER) * (number // 2)
    return left, top, left + CORNER, top + CORNER
