"""The closing lines of a training run on stderr: what it reached, and the command to run next."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.cli.terminal.closing import hanging
from camcli.cli.terminal.console import say
from camcli.ours import read_record
from camcli.printable import counted, printable
from camcli.train.judging.words import judged_lines

if TYPE_CHECKING:
    from camcli.train.result import TrainResult

_NAMES = 13
"""Columns of what is told, before what is told of it."""
_WORDS = {"val": "validation", "test": "test"}


def tell_trained(result: TrainResult, out: Path, following: Sequence[str]) -> None:
    """The final numbers, what is mostly confused, and what to do next.

    Args:
        result: of the run.
        out: its folder.
        following: the words of the command that shows what the network looks at.
    """
    # Of so few classes the right one is always among the first five.
    few = len((read_record(out / "run.json") or {}).get("classes") or range(6)) <= 5
    for split, scores in result.scores.items():
        hanging(f"{_WORDS[split].capitalize():<{_NAMES}}", _told(scores, few))
    for n, top1 in enumerate(result.members, 1):
        alone = ", ".join(f"{_WORDS[split]} {value:.4f}" for split, value in top1.items())
        hanging(f"member {n} alone: ", alone)
    for split, scores in result.scores.items():
        if "r2" in scores and (each := _values(out / f"per_value-{split}.csv")):
            hanging(f"{_WORDS[split]}, each: ", each)
    for name, text in judged_lines(result.judged):
        hanging(f"{name:<{_NAMES}}", text)
    for split in result.scores:
        if confused := _confused(out / f"confused-{split}.csv"):
            hanging(f"{'Confused':<{_NAMES}}", confused)
            break
    if result.skipped:
        say(f"{counted(result.skipped, 'image')} could not be read; see {out}/skipped.csv.")
    say(f"Charts and tables: {out}")
    say(f"To see where it looks: {shlex.join(following)}")


def _told(s: Mapping[str, Any], few: bool) -> str:
    """The numbers of one split, the most important first."""
    if "exact" in s:
        ap = "none" if s["mean_ap"] is None else f"{s['mean_ap']:.4f}"
        return (
            f"mAP {ap}  F1 {s['f1_micro']:.4f} (macro {s['f1_macro']:.4f})  all labels right "
            f"{s['exact']:.4f}  log-loss {s['log_loss']:.4f}  ({counted(s['count'], 'image')})"
        )
    if "r2" in s:
        parts = ["R² none" if s["r2"] is None else f"R² {s['r2']:.4f}{_between(s, 'r2', '.4f')}"]
        if s.get("mae") is not None:
            parts.append(f"mean error {s['mae']:.4g}{_between(s, 'mae', '.4g')}")
            parts.append(f"of a spread of {s['spread']:.4g}")
        return "  ".join([*parts, f"({counted(s['count'], 'image')})"])
    five = "" if few else f"top-5 {s['top5']:.4f}  "
    return (
        f"accuracy {s['top1']:.4f}{_between(s, 'top1', '.3f')}  {five}mAP {s['mean_ap']:.4f}  "
        f"log-loss {s['log_loss']:.4f}  calibration error {s['ece']:.4f}  "
        f"({counted(s['count'], 'image')})"
    )


def _between(scores: Mapping[str, Any], name: str, form: str) -> str:
    """The interval of a number, in brackets; empty where it has none."""
    low, high = scores.get(f"{name}_low"), scores.get(f"{name}_high")
    return "" if low is None or high is None else f" ({low:{form}} to {high:{form}})"


def _values(table: Path) -> str:
    """How each of several values did, the first ones; empty of one alone."""
    try:
        with table.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = [row for row, _ in zip(csv.DictReader(file), range(7), strict=False)]
        told = [
            f"{printable(row['value'])} R² {float(row['r2']):.3f}, mean error {row['mae']}"
            if row["r2"]
            else f"{printable(row['value'])} does not vary"
            for row in rows[:6]
        ]
        return "" if len(rows) < 2 else "; ".join(told) + " ..." * (len(rows) > 6)
    except (OSError, KeyError, ValueError, csv.Error):
        return ""


def _confused(table: Path) -> str:
    """The three most frequent confusions of a split; empty where nothing is known of any."""
    try:
        with table.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = [row for row, _ in zip(csv.DictReader(file), range(3), strict=False)]
        return ", ".join(
            f"{printable(row['true'])} taken for {printable(row['predicted'])} {row['count']}"
            for row in rows
        )
    except (OSError, KeyError, csv.Error):
        return ""
