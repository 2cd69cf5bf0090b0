"""The options of ``camcli train`` for its head and for layers that learn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from camcli.train.config import PATIENCE2
from camcli.train.ranges import (
    BatchNorm,
    ClassWeights,
    HeadKind,
    LearntOutput,
    Loss,
    Solver,
    ThresholdRule,
    Variation,
)

HEAD, TUNING = "Head", "Fine-tuning"


def _head(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=HEAD, **more)


def _tuning(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=TUNING, **more)


PoolingOption = Annotated[
    str,
    _head(
        "--pooling",
        help="What the head is given of the maps: mean, max, gem (generalised mean), std "
        "(deviation), with + between and @LAYER behind, such as mean+max+std@layer2; "
        "'|mean|' at unit length. Every one keeps exact maps.",
    ),
]
HeadOption = Annotated[
    HeadKind,
    _head(
        "--head",
        metavar="KIND",
        help="linear; prototype: the nearest mean of a class; neighbours: the votes of the "
        "nearest training images, which the checkpoint then holds as features (maps by "
        "autograd, not in closed form); keep: the head and the classes that --backbone, a network "
        "or a checkpoint, has: only --boxes are learnt from, and --data needs no labels.",
    ),
]
BoxesOption = Annotated[
    str | None,
    _head(
        "--boxes",
        metavar="FILE",
        help="Boxes of some of the photographs (a folder of VOC .xml, a COCO .json, a .csv): also "
        "train a localizer on them, which the checkpoint then holds. 5 to 10 of each class will "
        "do. Its maps are --method trained-on-boxes: where things like those in boxes are, no "
        "explanation.",
    ),
]
UnfreezeOption = Annotated[
    str | None,
    _tuning(
        "--unfreeze",
        help="A second stage, from the head's optimum on, in which these layers learn as well: "
        "layer4, 'layer3,layer4', blocks.6, or all. What validates better is kept: this, or "
        "the head alone.",
    ),
]
Epochs2Option = Annotated[int, _tuning("--epochs2", help="Epochs of the second stage.")]
Lr2Option = Annotated[
    float | None,
    _tuning("--lr2", help="Its peak rate, of the head. Default: 3e-4 for adamw, 1e-3 for sgd."),
]
Augment2Option = Annotated[
    Variation | None,
    _tuning(
        "--augment2",
        help="How its pictures are varied anew in each epoch: mirror (half of them), parts "
        "(random part, mirror, light), none. Default: mirror; with --augment parts.",
    ),
]
LayerDecayOption = Annotated[
    float,
    _tuning(
        "--layer-decay",
        help="Each stage of the network learns at this share of the rate of the one after it; "
        "1: all at the same.",
    ),
]
EmaOption = Annotated[
    float,
    _tuning(
        "--ema",
        help="Keep the moving average of the weights, of which a step leaves this share; 0: "
        "the weights as they are.",
    ),
]
MixupOption = Annotated[
    float,
    _tuning(
        "--mixup",
        help="Mix pictures in pairs, and their classes, by shares from Beta(a, a), such as "
        "0.2; 0: not.",
    ),
]
RandaugmentOption = Annotated[
    int,
    _tuning(
        "--randaugment",
        help="Vary pictures by torchvision's RandAugment of this magnitude, 1 to 30, usually "
        "9; 0: not.",
    ),
]
BnOption = Annotated[
    BatchNorm,
    _tuning(
        "--bn",
        help="BatchNorm of the unfrozen layers: frozen keeps its statistics, and so what the "
        "head was solved for; train takes those of each batch and learns (under torchrun of "
        "each process's own part of it), which the head has to get used to.",
    ),
]
EpochsOption = Annotated[int, _head("--epochs", help="Epochs of the head.")]
SolverOption = Annotated[
    Solver | None,
    _head(
        "--solver",
        metavar="SOLVER",
        help="adamw or sgd take --epochs; lbfgs goes to the optimum, with the L2 strength "
        "that validates best. Default: adamw; with --unfreeze lbfgs.",
    ),
]
LrOption = Annotated[
    float | None,
    _head("--lr", help="Peak learning rate. Default: 1e-3 for adamw, 3e-3 for sgd."),
]
BatchSizeOption = Annotated[int, _head("--batch-size", help="Images in one step.")]
WeightDecayOption = Annotated[float, _head("--weight-decay", help="Of adamw and sgd.")]
WarmupOption = Annotated[
    float, _head("--warmup", help="Epochs in which the rate rises, before its cosine.")
]
L2Option = Annotated[
    float | None,
    _head("--l2", help="Strength for lbfgs. Default: chosen on validation."),
]
LabelSmoothingOption = Annotated[
    float, _head("--label-smoothing", help="Share of the target spread over all classes.")
]
LossOption = Annotated[
    Loss,
    _head(
        "--loss",
        metavar="LOSS",
        help="ce: cross-entropy of classes; bce: of labels, each for itself; focal: either, in "
        "which what is right already counts little; mse or huber: of values, where huber "
        "bears gross errors. auto: ce, bce or mse, as --output says.",
    ),
]
FocalGammaOption = Annotated[
    float, _head("--focal-gamma", help="Of --loss focal: how little; 0 is cross-entropy.")
]
ClassWeightsOption = Annotated[
    ClassWeights,
    _head(
        "--class-weights",
        metavar="RULE",
        help="balanced: rare classes count as much as common ones; effective: nearly so, "
        "as more images of one class tell ever less.",
    ),
]
LearntOutputOption = Annotated[
    LearntOutput,
    _head(
        "--output",
        metavar="KIND",
        help="softmax: each image is of one class. sigmoid: it has any number of labels, each "
        "for itself (binary cross-entropy). auto: as the data says: a CSV of path,label with "
        "a|b in a cell, or with a column of 0 and 1 for each label, is of labels. value: "
        "numbers, such as path,age; auto takes a column of numbers with a name of its own "
        "for that.",
    ),
]
ThresholdsOption = Annotated[
    ThresholdRule,
    _head(
        "--thresholds",
        metavar="RULE",
        help="From which probability on a label is predicted: f1, the one with the best F1 of "
        "the label on validation; half.",
    ),
]
PatienceOption = Annotated[
    int | None,
    _head(
        "--patience",
        help="Stop after so many epochs without a better one; 0: never. Default: never for the "
        f"head, {PATIENCE2} for the layers of --unfreeze.",
    ),
]
AugmentOption = Annotated[
    int,
    _head(
        "--augment",
        help="Augmented views of each image that are computed once and learnt from (random "
        "part, mirror, light); 0: the image as it is.",
    ),
]
MirrorOption = Annotated[
    bool,
    _head(
        "--mirror/--no-mirror",
        help="Learn from each image as it is and mirrored, with --augment besides from its "
        "views. Not for what tells left from right, such as writing.",
    ),
]
EnsembleOption = Annotated[
    int,
    _head(
        "--ensemble",
        help="Average the logits of so many heads; with --unfreeze, of so many networks.",
    ),
]
MembersOption = Annotated[
    str | None,
    _head(
        "--members",
        help="An ensemble of networks, by their weights at the start, with commas between: "
        "pretrained (as --weights says), random, reinit (pretrained, but what --unfreeze "
        "names is drawn anew). One checkpoint holds them all.",
    ),
]
CacheOption = Annotated[
    bool,
    _head(
        "--cache/--no-cache",
        help="Keep the backbone's features on disk, so that it looks at each image once in "
        "all runs. --no-cache looks anew in each epoch, with --augment at new views.",
    ),
]
CacheDirOption = Annotated[
    Path | None,
    _head(
        "--cache-dir",
        help="Where. Default: features in $CAMCLI_CACHE, or in ~/.cache/camcli.",
    ),
]
CacheLimitOption = Annotated[
    str | None,
    _head(
        "--cache-limit",
        help="How much is kept, such as 20GB, or none; what was not used for the longest time "
        "goes first, and what this run uses stays. Default: $CAMCLI_CACHE_LIMIT, or 10GB. "
        "'camcli cache list' shows what is there.",
    ),
]
FoldsOption = Annotated[
    int,
    _head(
        "--folds",
        help="Judge training images by heads that have not seen them, in so many parts: "
        "accuracy with its interval, controls, what more photographs would give. 0: not.",
    ),
]
