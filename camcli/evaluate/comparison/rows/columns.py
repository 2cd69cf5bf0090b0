"""What stands in the table of a comparison, row by row and column by column; without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camcli.evaluate.measured.square_canvas import GAUSSIAN

CLASSIFICATION = "classification"
"""What the table has in place of a method where the predictions themselves are judged."""

# Rows that know nothing of the network, or nothing of what it learned about classes.
CONTROLS = ("centre-box", GAUSSIAN, "noise")

LOWER = {
    "kl", "fpr", "top1_loc_error", "top5_loc_error", "deletion", "average_drop", "infidelity",
    "max_sensitivity", "mae", "rmse", "complexity",
    "ffid_minus", "rfid_minus",
}  # fmt: skip
"""Metrics of which less is better."""
FORM = ("sparseness", "complexity")
"""Metrics of what a map is like, of which none is better or worse."""

Hint = tuple[str | tuple[tuple[str, ...], str], ...]
"""How to read a group: what is true of all of it, and of some metrics alone: (metrics, words)."""
_OF_PREDICTIONS = ("Classification", "Two classes", "Labels")  # which way is better goes unsaid

# In this order, by group: (heading, metrics, how to read them).
GROUPS: tuple[tuple[str, tuple[str, ...], Hint], ...] = (
    (
        "Classification",
        ("top1", "top5", "mean_ap", "share_confident", "top1_confident"),
        (
            "of the photographs whose label names a class of the network",
            (("mean_ap",), "mean_ap: mean average precision of the classes"),
            (
                ("share_confident", "top1_confident"),
                "confident: those of at least the asked probability",
            ),
        ),
    ),
    (
        "Two classes",
        ("auc",),
        (
            "area under the ROC curve: how often the second class is likelier in one of its "
            "photographs than in one of the first",
        ),
    ),
    (
        "Labels",
        ("exact", "map", "f1_micro", "f1_macro"),
        (
            "of the photographs whose labels are known, of which each can have any number",
            (("exact",), "exact: all labels of a photograph and no other"),
            (("map",), "map: mean average precision"),
        ),
    ),
    (
        "Values",
        ("r2", "mae", "rmse"),
        (
            "of the photographs whose value is known",
            (("r2",), "r2: share of the variance that is explained, of several values their mean"),
            (("mae", "rmse"), "mae, rmse: errors in the value's unit"),
        ),
    ),
    (
        "Boxes",
        ("maxboxacc", "maxboxacc_v2@30", "maxboxacc_v2@50", "maxboxacc_v2@70", "maxboxacc_v2"),
        (
            "share of photographs whose box has IoU 0.5 (V2: 0.3, 0.5, 0.7) with a true one, at "
            "the best threshold for the set",
        ),
    ),
    (
        "Boxes as written",
        ("box_iou", "box_acc@30", "box_acc@50", "box_acc@70", "box_acc"),
        (
            "of the one box of each photograph that batch writes: mean IoU with the best true one, "
            "and share of photographs with at least 0.3, 0.5, 0.7 (box_acc: their mean)",
            "its threshold is not chosen on them: --box-threshold, --calibrate, or 20% of the "
            "maximum (--preset localize: 15%)",
        ),
    ),
    (
        "Localization error",
        ("top1_loc_error", "top5_loc_error"),
        ("wrong class or wrong box",),
    ),
    (
        "Heat",
        ("pointing", "energy", "kl", "correlation"),
        (
            (("pointing",), "pointing: whether the maximum hits"),
            (("energy",), "energy: share of the heat on the object"),
            (("kl",), "kl: distance to the mask"),
            (("correlation",), "correlation: with the mask"),
        ),
    ),
    (
        "Pixels",
        ("pxap", "pixel_auc", "iou", "tpr", "fpr"),
        (
            "against masks, all pixels pooled",
            (("iou",), "iou at the best threshold"),
        ),
    ),
    (
        "Grid pointing game",
        ("grid_2x2", "grid_3x3"),
        (
            "share of the heat in the right cell",
            (("grid_2x2",), "chance is 0.25 in 2x2"),
            (("grid_3x3",), "chance is 0.11 in 3x3"),
        ),
    ),
    (
        "Faithfulness",
        ("deletion", "insertion", "road", "average_drop", "average_increase"),
        ("what the prediction loses without the heat",),
    ),
    (
        "Patches",
        ("sds", "idsds"),
        (
            "whether the patches rank as what the network loses without each: 1 is best, 0 says "
            "nothing",
            (("idsds",), "idsds: after its head got used to missing patches"),
        ),
    ),
    (
        "Fidelity",
        ("ffid_plus", "ffid_minus", "rfid_plus", "rfid_minus"),
        (
            "what the prediction loses without some of the hottest patches (plus) and of the "
            "coldest (minus)",
            (("ffid_plus",), "ffid: after the head got used to it"),
        ),
    ),
    (
        "Drop and form in one",
        ("coherency", "adcc", "arcc"),
        (
            (("coherency",), "coherency: what the map shows, alone, has the same map"),
            (
                ("adcc", "arcc"),
                "adcc, arcc: that, how small the heat is, and average_drop or road in one number",
            ),
        ),
    ),
    (
        "Form",
        FORM,
        (
            "how small the heat is, 0 to 1, not whether it is right",
            (("sparseness",), "sparseness: higher is smaller"),
            (("complexity",), "complexity: lower is smaller"),
        ),
    ),
    (
        "Parts: what is needed",
        ("csdc", "pc", "dc", "distractibility", "completeness"),
        (
            "of scenes without their parts (FunnyBirds)",
            (
                ("completeness",),
                "completeness: the mean of the first three, and with distractibility, at the best "
                "share of the heat for the set",
            ),
        ),
    ),
    (
        "Parts: how much, and of which class",
        ("single_deletion", "target_sensitivity", "parts_mean", "background_independence"),
        (
            (
                ("single_deletion",),
                "single_deletion: parts in the order of what the network loses without them, 0.5 "
                "is chance",
            ),
            (
                ("target_sensitivity",),
                "target_sensitivity: 0.5 is chance, and a map that looks at no class gets 0",
            ),
            (("parts_mean",), "parts_mean: of both and completeness"),
        ),
    ),
    (
        "Robustness",
        ("infidelity", "max_sensitivity"),
        ((("infidelity",), "an infidelity of 1 foretells nothing"),),
    ),
)


SANITY = {
    "rank": "mean |rank correlation| with the trained network's map when everything from the "
    "logits down to that layer is random; near 1: the map does not show what was learned there",
    "ssim": "structural similarity with the trained network's map; read it the same way",
}
"""Of the sanity checks, by what begins a metric's name: how to read it."""
UNRELATED = "unrelated"
"""The control of these: two maps that add up the same features with random weights."""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One line of the table.

    Attributes:
        model: name of the network; empty for the controls that need none.
        method: name of the method or control.
        count: photographs, or mosaics for the grid.
        metrics: values by name.
        intervals: 95% bootstrap intervals by name.
    """

    model: str
    method: str
    count: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def groups(rows: Sequence[MetricRow]) -> list[tuple[str, list[str], str]]:
    """The groups with the metrics that occur in any row, and how to read these."""
    known = {name for row in rows for name in row.metrics}
    found = []
    for heading, metrics, hint in GROUPS:
        if own := [metric for metric in metrics if metric in known]:
            found.append((heading, own, read_as(heading, own, hint)))
    return found


def read_as(heading: str, metrics: Sequence[str], hint: Hint) -> str:
    """How to read the metrics of a group that are there: not a word of the others.

    Args:
        heading: of the group.
        metrics: those that are there.
        hint: of the whole group.
    """
    words = [
        clause if isinstance(clause, str) else clause[1]
        for clause in hint
        if isinstance(clause, str) or any(metric in metrics for metric in clause[0])
    ]
    if heading not in (*_OF_PREDICTIONS, "Form"):
        lower = [metric for metric in metrics if metric in LOWER]
        if not lower:
            words.append("higher is better")
        elif len(lower) == len(metrics):
            words.append("lower is better")
        else:
            words.append(f"{', '.join(lower)}: lower is better")
    return "; ".join(words)


def name_of(row: MetricRow) -> str:
    """``method (model)``, or the control's name; of predictions the model alone."""
    if row.method == CLASSIFICATION:
        return row.model
    return f"{row.method} ({row.model})" if row.model else row.method


def sanity_tables(checks: Sequence[MetricRow]) -> list[tuple[str, list[str], list[MetricRow], str]]:
    """The sanity checks as tables, two a network: (heading, metrics, rows, how to read them)."""
    tables = []
    for model in dict.fromkeys(row.model for row in checks):
        rows = [row for row in checks if row.model == model]
        names = list(dict.fromkeys(name for row in rows for name in row.metrics))
        for kind, hint in SANITY.items():
            own = [name for name in names if name.startswith(kind)]
            tables.append((f"Sanity: {kind}, {model}", own, rows, hint))
    return tables
