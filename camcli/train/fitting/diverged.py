"""What is said of a training whose numbers went beyond all bounds."""

from __future__ import annotations

from pathlib import Path

from camcli.train.fitting.finetune import DEFAULT_LR2
from camcli.train.fitting.head import DEFAULT_LR
from camcli.train.fitting.loop import DivergedError, Recipe


def told(
    error: DivergedError, recipe: Recipe, stage: int, best: Path, title: str = ""
) -> DivergedError:
    """What ended the training, what to try, and what is left of it.

    Args:
        error: what ended it.
        recipe: of the stage.
        stage: 1 for the head, 2 for layers.
        best: where the best checkpoint is, if there is one.
        title: of the network, before it all.
    """
    where, option = ("of the head", "--lr") if stage == 1 else ("of the second stage", "--lr2")
    text = f"{title}{error} {where}"
    if stage == 1 and recipe.solver == "lbfgs":
        advice = "give a greater --l2, or take --solver adamw"
    else:
        text += f", at a rate of {recipe.lr:g}"
        usual = DEFAULT_LR[recipe.solver] if stage == 1 else DEFAULT_LR2[recipe.solver]
        lower = f"{option} {usual:g}" if usual < recipe.lr else f"a lower {option}"
        advice = f"try {lower}"
        if recipe.weight_decay > 1:
            advice += f" and a --weight-decay below {recipe.weight_decay:g}"
    kept = "Nothing was kept."
    if best.is_file():
        kept = f"{best} keeps the best before that"
        if error.row and "val_r2" in error.row:
            kept += f", epoch {error.row['epoch']:.0f} (validation R² "
            kept += f"{error.row['val_r2']:.4f})"
        elif error.row and "val_map" in error.row:
            kept += f", epoch {error.row['epoch']:.0f} (validation mAP "
            kept += f"{error.row['val_map']:.4f})"
        elif error.row and "val_acc" in error.row:
            kept += f", epoch {error.row['epoch']:.0f} (validation accuracy "
            kept += f"{error.row['val_acc']:.4f})"
        elif stage == 2:
            kept += ", be it the head of the first stage or a later epoch"
        kept += "."
    text = text[0].upper() + text[1:]
    return DivergedError(f"{text}: {advice}, with --overwrite or into another --out. {kept}")
