"""Every suspect is tried on the network: what is it, what does it do, and what does one do?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.finding import Finding, HeatShare, Sighting
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.findings.suspect import Suspect
from camcli.evaluate.proof.asking import said
from camcli.evaluate.proof.heat import MOST, heat_share
from camcli.evaluate.proof.interventions import Bench, Outcome
from camcli.evaluate.proof.verdict import FEWEST, effect_of, verdict
from camcli.evaluate.proof.words import advice, title, words
from camcli.models.classifier import Classifier
from camcli.printable import counted, printable
from camcli.train.progress import Listener

IN_CLASS, IN_ALL = 8, 24  # suspects that are tried: each costs up to four passes a photograph


def prove(
    classifier: Classifier,
    suspects: Sequence[Suspect],
    photos: Sequence[AuditedPhoto],
    pixels: PixelCache,
    clock: Clock,
    listener: Listener,
    most: int = 60,
) -> list[Finding]:
    """Take suspects away and put them on, beside a control, and say what the network makes of it.

    Args:
        classifier: the network.
        suspects: in any order, none twice (`camcli.evaluate.proof.merge.merged`).
        photos: all that the network has seen.
        pixels: reads them.
        clock: when to stop; what is not tried is said there, and in the finding.
        listener: told how far it is.
        most: photographs on which each change is tried.

    Returns:
        One finding a suspect: those that are used first, then those that are not, then those that
        could not be proved; the larger effect first.

    Raises:
        CamcliError: what concerns every photograph.
    """
    bench = Bench(classifier, photos, pixels, clock)
    chosen = _chosen(suspects, clock)
    plans = [_plan(bench, suspect, most) for suspect in chosen]
    total = sum(_planned(plan, most) for plan in plans)
    with listener.bar("proof", total, "photograph") as bar:
        findings = [
            _proved(bench, suspect, plan, len(chosen), most, bar.advance)
            for suspect, plan in zip(chosen, plans, strict=True)
        ]
    tried = {id(suspect) for suspect in chosen}
    # Of what no pixel shows, `words` says that.
    why = "there were stronger suspicions, and it was not tried"
    left = [s for s in suspects if id(s) not in tried]
    findings += [_untried(s, None if s.change is None else why) for s in left]
    return sorted(findings, key=_order)


def unproved(suspects: Sequence[Suspect], why: str) -> list[Finding]:
    """Findings of suspects where there is no network to try them on.

    Args:
        suspects: in any order, none twice.
        why: there is none, as a clause.
    """
    return sorted((_untried(s, why) for s in suspects), key=_order)


Plan = tuple[list[AuditedPhoto], list[AuditedPhoto]]


def _chosen(suspects: Sequence[Suspect], clock: Clock) -> list[Suspect]:
    """Those that are tried, the strongest associations of each class first."""
    per_class: dict[str, int] = {}
    chosen: list[Suspect] = []
    visible = [s for s in suspects if s.change is not None]
    for suspect in sorted(visible, key=lambda s: (s.p > 0.01, -s.effect)):
        own = per_class.get(suspect.label, 0)
        if len(chosen) < IN_ALL and own < IN_CLASS:
            per_class[suspect.label] = own + 1
            chosen.append(suspect)
    left = len(visible) - len(chosen)
    if left:
        clock.skip(
            f"{counted(left, 'weaker suspicion was', 'weaker suspicions were')} not tried on the "
            f"network: at most {IN_CLASS} of a class are, and {IN_ALL} in all"
        )
    return chosen


def _plan(bench: Bench, suspect: Suspect, most: int) -> Plan:
    """The photographs from which something is taken, and those on which it is put."""
    change = suspect.change
    assert change is not None
    return (
        bench.having(suspect) if change.removed_by else [],
        bench.lacking(suspect) if change.added_by else [],
    )


def _planned(plan: Plan, most: int) -> int:
    return sum(min(most, len(part)) for part in plan)


def _untried(suspect: Suspect, why: str | None) -> Finding:
    return _finding(suspect, Outcome(), Outcome(), 1, None, why)


def _proved(
    bench: Bench,
    suspect: Suspect,
    plan: Plan,
    tried: int,
    most: int,
    progress: Callable[[int], object],
) -> Finding:
    change, own = suspect.change, said(bench.classifier, suspect.label)
    assert change is not None
    if own is None:
        return _finding(suspect, Outcome(), Outcome(), tried, None, "the network has no such class")
    having, lacking = plan
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(more)

    removed = bench.tried(
        having, change.remove, change.remove_control, own, change.removed_by,
        taken=True, most=most, progress=count,
    )  # fmt: skip
    added = bench.tried(
        lacking, change.add, change.add_control, own, change.added_by,
        taken=False, most=most, progress=count,
    )  # fmt: skip
    progress(_planned(plan, most) - done)  # those that were not needed, or could not be done
    why = None
    if max(len(removed.tried), len(added.tried)) < FEWEST:
        why = "there was no time left" if bench.clock.over else _too_few(removed, added)
    if bench.clock.over:
        bench.clock.skip(
            f"not every suspicion was tried on {counted(most, 'photograph')}, for want of time"
        )
    heat = None
    if not bench.clock.over:
        looked = [(rgb, suspect.regions[p.rel]) for p in having[:MOST]
                  if (rgb := bench.pixels(p)) is not None]  # fmt: skip
        heat = heat_share(bench.classifier, own, looked)
    return _finding(suspect, removed, added, tried, heat, why)


def _too_few(removed: Outcome, added: Outcome) -> str:
    return (
        f"it could be changed in {counted(len(removed.tried), 'photograph')} of the class and "
        f"{len(added.tried)} others, and {FEWEST} are needed"
    )


def _finding(
    suspect: Suspect,
    removed: Outcome,
    added: Outcome,
    tried: int,
    heat: HeatShare | None,
    why: str | None,
) -> Finding:
    change = suspect.change
    found = verdict(removed.tried, added.tried, tried)
    remove = add = None
    if change is not None:
        # One control may be told for both ways, or one for each.
        controls = change.control.split("; ")
        remove = effect_of(removed.tried, change.removed_by, controls[0])
        add = effect_of(added.tried, change.added_by, controls[-1])
    turned = {t.rel: t for t in removed.tried}
    sightings = [
        Sighting(
            rel, region,
            note="" if rel not in turned or not turned[rel].changed
            else f"no longer {printable(suspect.label)} without it",
            score=1.0 if rel in turned and turned[rel].changed else 0.5,
        )
        for rel, region in suspect.regions.items()
    ]  # fmt: skip
    return Finding(
        kind=suspect.kind,
        label=suspect.label,
        verdict=found,
        title=title(suspect, found),
        words=words(suspect, found, remove, add, why, heat),
        advice=advice(suspect, found),
        sightings=tuple(sorted(sightings, key=lambda s: -s.score)),
        present=suspect.present,
        looked=suspect.looked,
        elsewhere=suspect.elsewhere,
        elsewhere_looked=suspect.elsewhere_looked,
        effect=suspect.effect,
        p=suspect.p,
        remove=remove,
        add=add,
        heat=heat,
        picture=suspect.picture,
        retried=tuple(shown.retried for shown in (*removed.shown, *added.shown)),
    )


def _order(finding: Finding) -> tuple[int, float, float]:
    return (
        ("used", "not used", "unproved").index(finding.verdict),
        -strength(finding),
        -finding.effect,
    )


def strength(finding: Finding) -> float:
    """The larger of what taking it away and putting it on did beyond the control; at least 0."""
    return max(0.0, *(e.beyond.value for e in (finding.remove, finding.add) if e), 0.0)
