"""``camcli train``: a classifier of your own, from a folder of labelled images."""

from __future__ import annotations

from dataclasses import fields

import typer

from camcli.cli import learning_options as n
from camcli.cli import options as o
from camcli.cli import train_options as t
from camcli.cli.terminal.console import INTERRUPTED, TERMINATED, Terminated, emit, fail
from camcli.cli.terminal.progress import TerminalListener
from camcli.cli.terminal.trained import tell_trained
from camcli.cli.torchrun import first_speaks
from camcli.errors import CamcliError
from camcli.jobs.train import TrainJob
from camcli.train.config import TrainConfig
from camcli.train.config_file import resolve
from camcli.train.progress import Listener

D, J = TrainConfig(), TrainJob()


def train(
    ctx: typer.Context,
    data: t.DataOption = D.data,
    out: t.OutOption = J.out,
    config: t.ConfigOption = None,
    resume: t.ResumeOption = J.resume,
    overwrite: t.OverwriteOption = J.overwrite,
    data_dir: t.DataDirOption = D.data_dir,
    download: t.DownloadOption = J.download,
    labels: t.LabelsOption = D.labels,
    val: t.ValOption = D.val,
    test: t.TestOption = D.test,
    group: t.GroupOption = D.group,
    ignore_label: t.IgnoreLabelOption = D.ignore_label,
    split: t.SplitOption = D.split,
    merge_varieties: t.MergeVarietiesOption = D.merge_varieties,
    domain: t.DomainOption = D.domain,
    train_domain: t.TrainDomainOption = D.train_domain,
    test_domain: t.TestDomainOption = D.test_domain,
    search: t.SearchOption = D.search,
    time_limit: t.TimeLimitOption = D.time_limit,
    explainable: t.ExplainableOption = D.explainable,
    backbone: t.BackboneOption = D.backbone,
    weights: t.WeightsOption = D.weights,
    weights_key: o.WeightsKey = D.weights_key,
    offline: o.Offline = J.offline,
    device: o.Device = J.device,
    fit: t.LookFitOption = D.fit,
    input_size: t.InputSizeOption = D.input_size,
    pooling: n.PoolingOption = D.pooling,
    head: n.HeadOption = D.head,
    boxes: n.BoxesOption = D.boxes,
    unfreeze: n.UnfreezeOption = D.unfreeze,
    epochs2: n.Epochs2Option = D.epochs2,
    lr2: n.Lr2Option = D.lr2,
    augment2: n.Augment2Option = D.augment2,
    layer_decay: n.LayerDecayOption = D.layer_decay,
    ema: n.EmaOption = D.ema,
    mixup: n.MixupOption = D.mixup,
    randaugment: n.RandaugmentOption = D.randaugment,
    bn: n.BnOption = D.bn,
    epochs: n.EpochsOption = D.epochs,
    solver: n.SolverOption = D.solver,
    lr: n.LrOption = D.lr,
    batch_size: n.BatchSizeOption = D.batch_size,
    weight_decay: n.WeightDecayOption = D.weight_decay,
    warmup: n.WarmupOption = D.warmup,
    l2: n.L2Option = D.l2,
    label_smoothing: n.LabelSmoothingOption = D.label_smoothing,
    loss: n.LossOption = D.loss,
    focal_gamma: n.FocalGammaOption = D.focal_gamma,
    class_weights: n.ClassWeightsOption = D.class_weights,
    output: n.LearntOutputOption = D.output,
    thresholds: n.ThresholdsOption = D.thresholds,
    patience: n.PatienceOption = D.patience,
    augment: n.AugmentOption = D.augment,
    mirror: n.MirrorOption = D.mirror,
    ensemble: n.EnsembleOption = D.ensemble,
    members: n.MembersOption = D.members,
    cache: n.CacheOption = D.cache,
    cache_dir: n.CacheDirOption = J.cache_dir,
    cache_limit: n.CacheLimitOption = J.cache_limit,
    tensorboard: t.TensorboardOption = D.tensorboard,
    folds: n.FoldsOption = D.folds,
    seed: t.SeedOption = D.seed,
    quiet: t.QuietOption = False,
) -> None:
    """Train a classifier on your own images: a new head on a pretrained network.

    The network looks at each image once and what it sees is kept, so that trying costs seconds.
    Which network, how it looks and what the head is are searched for, unless you say so.

    camcli train --data photos --out run

    camcli batch new-photos --checkpoint run/best.safetensors --out explained

    camcli train --data photos --search --unfreeze all --out tuned

    camcli train --config run/config.toml --data more-photos --out again

    torchrun --nproc-per-node 4 -m camcli train --data photos --unfreeze all
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
