"""The tables of `train_search.py`, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import erf, sqrt
from statistics import mean
from typing import Any

from search_counting import Difference, Z, wilson

Found = Mapping[tuple[str, int, str], dict[str, Any]]
AIMS = {
    ("textiles", "search"): (0.85, 300),
    ("textiles", "fine-tuned"): (0.90, 1800),
    ("cats-dogs", "search"): (0.993, 40),
}
"""Accuracy and seconds that a way is to reach on a set."""


def print_sets(found: Found, ways: Sequence[str]) -> None:
    """One table a set: each way over its seeds; then what was chosen, and the aims."""
    for name in dict.fromkeys(key[0] for key in found):
        seeds = sorted({seed for own, seed, _ in found if own == name})
        count = len(_parts("", next(r for k, r in found.items() if k[0] == name))[0][1])
        print(f"\n## {name}, {count} held out, {len(seeds)} seeds of splits\n")
        print(
            "| way | accuracy | 95 % interval | of each seed | over the default | seconds | MiB |"
        )
        print("|" + " --- |" * 7)
        for way in ways:
            runs = [(seed, found[name, seed, way]) for seed in seeds if (name, seed, way) in found]
            for line in _lines(name, way, runs, found):
                print(line)
        _print_chosen(name, seeds, found)
    _print_aims(found)


def _parts(way: str, result: dict[str, Any]) -> list[tuple[str, dict[str, bool], dict[str, Any]]]:
    """The classifiers of a result: name, hits by photograph, and what was measured."""
    if "ways" not in result:
        return [(way, result["hits"], result)]
    return [
        (f"{way}: {name}", each["hits"], {**result, "seconds": result["looked"] + each["seconds"]})
        for name, each in result["ways"].items()
    ]


def _lines(
    name: str, way: str, runs: list[tuple[int, dict[str, Any]]], found: Found
) -> Iterator[str]:
    """A row of each classifier of a way."""
    if not runs:
        return
    each = [(seed, _parts(way, result)) for seed, result in runs]
    for i in range(len(each[0][1])):
        own = [(seed, *parts[i]) for seed, parts in each]
        shares = [sum(hits.values()) / len(hits) for _, _, hits, _ in own]
        count = len(own[0][2])
        low, high = wilson(mean(shares) * count, count)
        against = "" if way == "default" else _against(name, own, found)
        seconds = [spent["seconds"] for *_, spent in own]
        peak = max(spent["peak_mb"] for *_, spent in own)
        yield (
            f"| {own[0][1]} | {mean(shares):.3f} | {low:.3f}-{high:.3f} | "
            f"{' '.join(f'{share:.3f}' for share in shares)} | {against} | "
            f"{mean(seconds):.0f} (at most {max(seconds):.0f}) | {peak:.0f} |"
        )


def _against(name: str, own: list[tuple[Any, ...]], found: Found) -> str:
    """The paired difference from the default, as the mean of the seeds."""
    each = [
        Difference.of(hits, found[name, seed, "default"]["hits"])
        for seed, _, hits, _ in own
        if (name, seed, "default") in found
    ]
    if not each:
        return ""
    low, middle, high = (mean(getattr(d, part) for d in each) for part in ("low", "mean", "high"))
    worse = "; WORSE in a seed" if any(d.is_worse for d in each) else ""
    return f"{100 * middle:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}{worse})"


def _print_chosen(name: str, seeds: Sequence[int], found: Found) -> None:
    print()
    for seed in seeds:
        for way in ("default", "optimum", "search", "any-head", "fine-tuned"):
            if result := found.get((name, seed, way)):
                words = ", ".join(
                    f"{key} {_short(value)}" for key, value in result["chosen"].items()
                )
                print(f"- seed {seed}, {way}: {words}")
                print(f"  {_promise(result)}")


def _short(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _promise(result: dict[str, Any]) -> str:
    """What the run says of itself beside what is so."""
    hits, own = result["hits"], result.get("own")
    parts = []
    if own:
        low, high = wilson(own["hits"], own["count"])
        parts.append(f"out of fold {own['hits'] / own['count']:.3f} ({low:.3f}-{high:.3f})")
    parts.append(f"held out {sum(hits.values()) / len(hits):.3f}")
    if ece := result.get("ece"):
        parts.append(
            f"calibration error {ece['before']:.3f}, at temperature {ece['temperature']:.2f} "
            f"{ece['after']:.3f} (a perfect one's, of so many: {ece['chance']:.3f})"
        )
    return "; ".join(parts)


def _print_aims(found: Found) -> None:
    print("\n## Aims\n")
    for (name, way), (least, most) in AIMS.items():
        runs = [r for (own, _, w), r in found.items() if (own, w) == (name, way)]
        if not runs:
            continue
        share = mean(sum(r["hits"].values()) / len(r["hits"]) for r in runs)
        seconds = max(r["seconds"] for r in runs)
        print(
            f"- {name}, {way}: {share:.3f} of >= {least} {_verdict(share >= least)}; "
            f"{seconds:.0f} s of <= {most} {_verdict(seconds <= most)}"
        )


def _verdict(reached: bool) -> str:
    return "reached" if reached else "NOT REACHED"


def print_honest(name: str, results: Sequence[dict[str, Any]]) -> None:
    """Whether what a run says of itself holds on what it never saw."""
    judged = [r for r in results if r.get("own")]
    print(f"\n## What a run says of itself, {name}, {len(results)} seeds\n")
    if not judged:
        print("No run wrote out_of_fold.csv.")
        return
    print("| seed | out of fold | held out | its interval | within | both | ECE before | after |")
    print("|" + " --- |" * 8)
    within = both = 0
    gaps = []
    for seed, result in enumerate(judged):
        own, hits = result["own"], result["hits"]
        told, right, count = own["hits"] / own["count"], sum(hits.values()), len(hits)
        so = right / count
        low, high = wilson(right, count)
        # Of two disjoint samples of one population, however small that is.
        error = sqrt(told * (1 - told) / own["count"] + so * (1 - so) / count)
        fits = low <= told <= high, abs(told - so) <= Z * error
        within, both = within + fits[0], both + fits[1]
        gaps.append(told - so)
        ece = result.get("ece")
        errors = f"{ece['before']:.3f} | {ece['after']:.3f}" if ece else " | "
        words = " | ".join("yes" if fit else "NO" for fit in fits)
        print(f"| {seed} | {told:.3f} | {so:.3f} | {low:.3f}-{high:.3f} | {words} | {errors} |")
    share = mean(r["own"]["count"] / len(r["hits"]) for r in judged)
    expected = erf(Z / sqrt(1 + 1 / share) / sqrt(2))
    print(
        f"\nWithin the held-out one's interval in {within} of {len(judged)} seeds (aim: 18 of 20; "
        f"a promise without any bias is there in {expected:.0%}, as it is of a finite set, too); "
        f"within the interval of their difference in {both} (95 %)."
    )
    print(f"Out of fold minus held out, mean: {100 * mean(gaps):+.2f} points.")
    if errors_of := [r["ece"] for r in judged if r.get("ece")]:
        before, after, chance = (
            mean(e[key] for e in errors_of) for key in ("before", "after", "chance")
        )
        print(
            f"Calibration error, mean: {before:.4f} before, {after:.4f} after its temperature "
            f"({after / before:.2f} of it; aim: half). Probabilities that are right would show "
            f"{chance:.4f} on so many images."
        )
