"""``camcli train``: a classifier of your own, from a folder of labelled images."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from camcli.cli import options as o
from camcli.cli.terminal.console import INTERRUPTED, TERMINATED, Terminated, emit, fail
from camcli.cli.terminal.progress import TerminalListener
from camcli.cli.terminal.trained import tell_trained
from camcli.cli.torchrun import first_speaks
from camcli.data.datasets.registry import NAMED
from camcli.data.decode.fit import Fit
from camcli.errors import CamcliError
from camcli.jobs.train import TrainJob
from camcli.train.config import PATIENCE2, TrainConfig
from camcli.train.config_file import resolve
from camcli.train.progress import Listener
from camcli.train.ranges import (
    BatchNorm,
    ClassWeights,
    HeadKind,
    LearntOutput,
    Loss,
    Solver,
    SplitRule,
    ThresholdRule,
    Variation,
)

DATA, HEAD, TUNING, BACKBONE, SEARCH = "Data", "Head", "Fine-tuning", o.MODEL, "Search"
D, J = TrainConfig(), TrainJob()


def _data(*names: str, help: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=DATA, show_default=True)


def _head(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=HEAD, **more)


def _tuning(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=TUNING, **more)


def _backbone(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=BACKBONE, **more)


def _search(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=SEARCH, **more)


def train(
    ctx: typer.Context,
    data: Annotated[
        str,
        _data(
            "--data",
            help="A folder (class per folder, with or without train/val/test, or files such as "
            "cat.0.jpg), tar or zip files or a URL of it, a CSV of path,label[,split], a list of "
            f"its paths (list.txt), or a name: {', '.join(NAMED)}.",
        ),
    ] = D.data,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The run's folder: gets best.safetensors, metrics and charts.",
            rich_help_panel=o.RUN,
        ),
    ] = J.out,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="A TOML file with any of these options (dashes or underscores); what is on the "
            "command line wins.",
            rich_help_panel=o.RUN,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with an interrupted run in --out.", rich_help_panel=o.RUN
        ),
    ] = J.resume,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace an earlier run in --out.", rich_help_panel=o.RUN),
    ] = J.overwrite,
    data_dir: Annotated[
        str | None,
        _data(
            "--data-dir",
            help="Where named data sets are looked for first, before $CAMCLI_DATA and the user's "
            "data folder.",
        ),
    ] = D.data_dir,
    download: Annotated[
        bool, _data("--download", help="Fetch a named data set that is not here.")
    ] = J.download,
    labels: Annotated[
        str,
        _data(
            "--labels",
            help="Where labels come from: auto (class folders; or, where all lie in one folder, "
            "names such as cat.0.jpg, which 'camcli batch' takes with prefix only), folder, prefix "
            "(cat.0.jpg is a cat), or a regular expression whose first group is the label.",
        ),
    ] = D.labels,
    val: Annotated[
        float,
        _data("--val", help="Share of the training images that validates, unless the set says."),
    ] = D.val,
    test: Annotated[
        float, _data("--test", help="Share that tests, where the set has no test split.")
    ] = D.test,
    group: Annotated[
        str | None,
        _data(
            "--group",
            help="A regular expression; images with the same text in its first group stay in one "
            "split, such as the frames of a video: '^(.+?)_\\d+'.",
        ),
    ] = D.group,
    ignore_label: Annotated[
        str | None,
        _data(
            "--ignore-label",
            help="Images with this label are left out, or of several labels lose it: 'unknown', "
            "'unknown|reject'. '' is an empty cell of a table of one label an image.",
        ),
    ] = D.ignore_label,
    split: Annotated[
        SplitRule,
        _data("--split", help="video: hold whole videos of Fruits-360 out, for an honest figure."),
    ] = D.split,
    merge_varieties: Annotated[
        bool,
        _data("--merge-varieties", help="Fold 'Apple Red 1' and 'Apple Red 2' into 'Apple Red'."),
    ] = D.merge_varieties,
    domain: Annotated[
        str | None, _data("--domain", help="Train and validate on this domain alone (Office-31).")
    ] = D.domain,
    train_domain: Annotated[
        str | None, _data("--train-domain", help="Train on this domain ...")
    ] = D.train_domain,
    test_domain: Annotated[
        str | None, _data("--test-domain", help="... and test on this one.")
    ] = D.test_domain,
    search: Annotated[
        bool | None,
        _search(
            "--search/--no-search",
            help="Find the network among those that are here, its input size and fit, what its "
            "head is given and how strong its L2 is, by cross-validation in the training images. "
            "Default: where features are cached and nothing of that is given.",
            show_default=False,
        ),
    ] = D.search,
    time_limit: Annotated[
        str,
        _search("--time-limit", help="Of the search: 90s, 5m, 1h."),
    ] = D.time_limit,
    explainable: Annotated[
        bool,
        _search(
            "--explainable/--no-explainable",
            help="Keep to heads whose maps add up to their scores. --no-explainable takes nearest "
            "neighbours where they are better; their maps come by autograd.",
        ),
    ] = D.explainable,
    backbone: Annotated[
        str,
        _backbone(
            "--backbone",
            help="A torchvision name, timm:NAME, module:factory or FILE.py:FACTORY of your own, or "
            "efficientnet_lite0, which needs no network (nor do efficientnet_lite1 and 2, of "
            "camcli[lite1,lite2]). 'camcli models' lists them.",
        ),
    ] = D.backbone,
    weights: Annotated[
        str | None,
        _backbone(
            "--weights",
            help="A .pth or .safetensors file, one of torchvision's sets of weights, or 'random' "
            "(smoke tests).",
        ),
    ] = D.weights,
    weights_key: o.WeightsKey = D.weights_key,
    offline: o.Offline = J.offline,
    device: o.Device = J.device,
    fit: Annotated[
        Fit | None,
        _backbone(
            "--fit",
            help="crop: the centre square of each photograph; squash: all of it, distorted to a "
            "square; pad: all of it, undistorted, between margins; whole: all of it, as a "
            "rectangle (slower; not with --unfreeze). Stored with the checkpoint. Default: as the "
            "weights were trained.",
        ),
    ] = D.fit,
    input_size: Annotated[
        int | None,
        _backbone(
            "--input-size", help="Side of the network's input in pixels. Larger gives finer maps."
        ),
    ] = D.input_size,
    pooling: Annotated[
        str,
        _head(
            "--pooling",
            help="What the head is given of the maps: mean, max, gem (generalised mean), std "
            "(deviation), with + between and @LAYER behind, such as mean+max+std@layer2; "
            "'|mean|' at unit length. Every one keeps exact maps.",
        ),
    ] = D.pooling,
    head: Annotated[
        HeadKind,
        _head(
            "--head",
            help="linear; prototype: the nearest mean of a class; neighbours: the votes of the "
            "nearest training images, which the checkpoint then holds as features (maps by "
            "autograd, not in closed form).",
        ),
    ] = D.head,
    unfreeze: Annotated[
        str | None,
        _tuning(
            "--unfreeze",
            help="A second stage, from the head's optimum on, in which these layers learn as well: "
            "layer4, 'layer3,layer4', blocks.6, or all. What validates better is kept: this, or "
            "the head alone.",
        ),
    ] = D.unfreeze,
    epochs2: Annotated[int, _tuning("--epochs2", help="Epochs of the second stage.")] = D.epochs2,
    lr2: Annotated[
        float | None,
        _tuning("--lr2", help="Its peak rate, of the head. Default: 3e-4 for adamw, 1e-3 for sgd."),
    ] = D.lr2,
    augment2: Annotated[
        Variation | None,
        _tuning(
            "--augment2",
            help="How its pictures are varied anew in each epoch: mirror (half of them), parts "
            "(random part, mirror, light), none. Default: mirror; with --augment parts.",
        ),
    ] = D.augment2,
    layer_decay: Annotated[
        float,
        _tuning(
            "--layer-decay",
            help="Each stage of the network learns at this share of the rate of the one after it; "
            "1: all at the same.",
        ),
    ] = D.layer_decay,
    ema: Annotated[
        float,
        _tuning(
            "--ema",
            help="Keep the moving average of the weights, of which a step leaves this share; 0: "
            "the weights as they are.",
        ),
    ] = D.ema,
    mixup: Annotated[
        float,
        _tuning(
            "--mixup",
            help="Mix pictures in pairs, and their classes, by shares from Beta(a, a), such as "
            "0.2; 0: not.",
        ),
    ] = D.mixup,
    randaugment: Annotated[
        int,
        _tuning(
            "--randaugment",
            help="Vary pictures by torchvision's RandAugment of this magnitude, 1 to 30, usually "
            "9; 0: not.",
        ),
    ] = D.randaugment,
    bn: Annotated[
        BatchNorm,
        _tuning(
            "--bn",
            help="BatchNorm of the unfrozen layers: frozen keeps its statistics, and so what the "
            "head was solved for; train takes those of each batch and learns (under torchrun of "
            "each process's own part of it), which the head has to get used to.",
        ),
    ] = D.bn,
    epochs: Annotated[int, _head("--epochs", help="Epochs of the head.")] = D.epochs,
    solver: Annotated[
        Solver | None,
        _head(
            "--solver",
            help="adamw or sgd take --epochs; lbfgs goes to the optimum, with the L2 strength "
            "that validates best. Default: adamw; with --unfreeze lbfgs.",
        ),
    ] = D.solver,
    lr: Annotated[
        float | None,
        _head("--lr", help="Peak learning rate. Default: 1e-3 for adamw, 3e-3 for sgd."),
    ] = D.lr,
    batch_size: Annotated[int, _head("--batch-size", help="Images in one step.")] = D.batch_size,
    weight_decay: Annotated[
        float, _head("--weight-decay", help="Of adamw and sgd.")
    ] = D.weight_decay,
    warmup: Annotated[
        float, _head("--warmup", help="Epochs in which the rate rises, before its cosine.")
    ] = D.warmup,
    l2: Annotated[
        float | None,
        _head("--l2", help="Strength for lbfgs. Default: chosen on validation."),
    ] = D.l2,
    label_smoothing: Annotated[
        float, _head("--label-smoothing", help="Share of the target spread over all classes.")
    ] = D.label_smoothing,
    loss: Annotated[
        Loss,
        _head(
            "--loss",
            help="ce: cross-entropy of classes; bce: of labels, each for itself; focal: either, in "
            "which what is right already counts little; mse or huber: of values, where huber "
            "bears gross errors. auto: ce, bce or mse, as --output says.",
        ),
    ] = D.loss,
    focal_gamma: Annotated[
        float, _head("--focal-gamma", help="Of --loss focal: how little; 0 is cross-entropy.")
    ] = D.focal_gamma,
    class_weights: Annotated[
        ClassWeights,
        _head(
            "--class-weights",
            help="balanced: rare classes count as much as common ones; effective: nearly so, "
            "as more images of one class tell ever less.",
        ),
    ] = D.class_weights,
    output: Annotated[
        LearntOutput,
        _head(
            "--output",
            help="softmax: each image is of one class. sigmoid: it has any number of labels, each "
            "for itself (binary cross-entropy). auto: as the data says: a CSV of path,label with "
            "a|b in a cell, or with a column of 0 and 1 for each label, is of labels. value: "
            "numbers, such as path,age; auto takes a column of numbers with a name of its own "
            "for that.",
        ),
    ] = D.output,
    thresholds: Annotated[
        ThresholdRule,
        _head(
            "--thresholds",
            help="From which probability on a label is predicted: f1, the one with the best F1 of "
            "the label on validation; half.",
        ),
    ] = D.thresholds,
    patience: Annotated[
        int | None,
        _head(
            "--patience",
            help="Stop after so many epochs without a better one; 0: never. Default: never for the "
            f"head, {PATIENCE2} for the layers of --unfreeze.",
        ),
    ] = D.patience,
    augment: Annotated[
        int,
        _head(
            "--augment",
            help="Augmented views of each image that are computed once and learnt from (random "
            "part, mirror, light); 0: the image as it is.",
        ),
    ] = D.augment,
    mirror: Annotated[
        bool,
        _head(
            "--mirror/--no-mirror",
            help="Learn from each image as it is and mirrored, with --augment besides from its "
            "views. Not for what tells left from right, such as writing.",
        ),
    ] = D.mirror,
    ensemble: Annotated[
        int,
        _head(
            "--ensemble",
            help="Average the logits of so many heads; with --unfreeze, of so many networks.",
        ),
    ] = D.ensemble,
    members: Annotated[
        str | None,
        _head(
            "--members",
            help="An ensemble of networks, by their weights at the start, with commas between: "
            "pretrained (as --weights says), random, reinit (pretrained, but what --unfreeze "
            "names is drawn anew). One checkpoint holds them all.",
        ),
    ] = D.members,
    cache: Annotated[
        bool,
        _head(
            "--cache/--no-cache",
            help="Keep the backbone's features on disk, so that it looks at each image once in "
            "all runs. --no-cache looks anew in each epoch, with --augment at new views.",
        ),
    ] = D.cache,
    cache_dir: Annotated[
        Path | None,
        _head(
            "--cache-dir",
            help="Where. Default: features in $CAMCLI_CACHE, or in ~/.cache/camcli.",
        ),
    ] = J.cache_dir,
    cache_limit: Annotated[
        str | None,
        _head(
            "--cache-limit",
            help="How much is kept, such as 20GB, or none; what was not used for the longest time "
            "goes first, and what this run uses stays. Default: $CAMCLI_CACHE_LIMIT, or 10GB. "
            "'camcli cache list' shows what is there.",
        ),
    ] = J.cache_limit,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help="Also write TensorBoard's files, into tensorboard in --out: the curves, the "
            "settings with what they reached, and what the network looks at in a few held-out "
            "images. Needs the package tensorboard.",
            rich_help_panel=o.RUN,
        ),
    ] = D.tensorboard,
    folds: Annotated[
        int,
        _head(
            "--folds",
            help="Judge training images by heads that have not seen them, in so many parts: "
            "accuracy with its interval, controls, what more photographs would give. 0: not.",
        ),
    ] = D.folds,
    seed: Annotated[
        int, typer.Option("--seed", help="Of everything drawn.", rich_help_panel=o.RUN)
    ] = D.seed,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="No progress bar and no summary.", rich_help_panel=o.RUN
        ),
    ] = False,
) -> None:
    """Train a classifier on your own images: a new head on a pretrained network.

    The network looks at each image once and what it sees is kept, so that trying costs seconds.
    Which network, how it looks and what the head is are searched for, unless you say so.

    camcli train --data photos --out run

    camcli batch new-photos --checkpoint run/best.safetensors --out explained

    camcli train --data photos --search --unfreeze all --out tuned

    camcli train --config run/config.toml --data more-photos --out again

    torchrun --nproc-per-node 4 -m camcli train --data photos --unfreeze layer4
    """
    given = {
        each.name: ctx.params[each.name]
        for each in fields(TrainConfig)
        if _is_given(ctx, each.name)
    }
    listener = Listener() if quiet else TerminalListener()
    with first_speaks(CamcliError):
        job = TrainJob(
            resolve(config, given),
            out,
            resume,
            overwrite,
            download,
            device,
            offline,
            cache_dir,
            cache_limit,
        )
        job.check()
        dataset = job.read(listener)
    try:
        with first_speaks(SystemExit, KeyboardInterrupt, Terminated):
            result = job.run(listener, dataset)
    except (KeyboardInterrupt, Terminated) as stop:
        code = TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
        kept = f"What was finished is kept in {out} and the feature cache. " if out.is_dir() else ""
        fail(f"Stopped. {kept}Run the same command with --resume to go on.", code)
    if not result.leads:
        return
    if not quiet:
        tell_trained(result, out, job.looking(dataset))
    emit(result.checkpoint)


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")
