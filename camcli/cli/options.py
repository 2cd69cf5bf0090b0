"""Options that several commands share, described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camcli.cam.map_options import MOST_SAMPLES, Fuse, Smooth
from camcli.cam.scores import AskedScore
from camcli.cam.scores import told as score_told
from camcli.data.decode.fit import Fit
from camcli.jobs.presets import described
from camcli.models.loading.sources import ways_to_write
from camcli.models.runtime.registry import told
from camcli.models.spec import AskedOutput
from camcli.render.picture_files import KINDS

MODEL, IMAGE, TARGET, LOOK, RUN = "Model", "Input", "Explanation", "Picture", "Run"


Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help=f"Which network: {ways_to_write()}. 'camcli models' lists them.",
        rich_help_panel=MODEL,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="A .pth or .safetensors file with the network's weights, or 'random' for untrained "
        "ones (smoke tests).",
        rich_help_panel=MODEL,
    ),
]
WeightsKey = Annotated[
    str | None,
    typer.Option(
        "--weights-key",
        help="Which of several sets of weights in the file, such as model_ema: by default the "
        "weights themselves, not their average.",
        metavar="KEY",
        rich_help_panel=MODEL,
    ),
]
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        "-c",
        help="A classifier trained with 'camcli train'; replaces --model and --weights. One that "
        "was trained on code of your own needs that as --model, too.",
        rich_help_panel=MODEL,
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        "--classes",
        help="File with the class names of your own network: one a line, a JSON list, "
        '{"0": "name"}, {"name": 0}, or a table with the columns index and name.',
        rich_help_panel=MODEL,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, cuda:N or mps. auto takes a GPU if there is one.",
        rich_help_panel=MODEL,
    ),
]
Devices = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, cuda:N or mps; cuda:0,1 has one process on each of these GPUs. auto "
        "takes a GPU if there is one.",
        rich_help_panel=MODEL,
    ),
]
RuntimeOption = Annotated[
    str,
    typer.Option(
        "--runtime",
        help=f"What runs the network: {told()}; or auto: openvino on a CPU for 200 images "
        "or more, which pay for its start, else torch. Each is compared with torch on the first "
        "images, and how near it came is told.",
        metavar="NAME",
        rich_help_panel=RUN,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="What the network computes in: float32; or bfloat16, on GPUs, and with openvino on "
        "processors that have it, where it is about twice as fast: maps look the same, "
        "probabilities are off by up to some hundredths; or float16, on GPUs; or int8 (with "
        "openvino on a CPU, needs nncf), two to four times as fast, calibrated on a sample of your "
        "images: how near it comes to float32 there is told, and too little is refused. Decoding "
        "and drawing take as long as before.",
        metavar="TYPE",
        rich_help_panel=RUN,
    ),
]
TableFormat = Annotated[
    str,
    typer.Option(
        "--format",
        help="Format of the table: csv, jsonl or parquet (needs pyarrow). The CSV is always "
        "written, the others beside it at the end.",
        metavar="FORMAT",
        rich_help_panel=RUN,
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Never touch the network, not even for missing weights.",
        rich_help_panel=MODEL,
    ),
]
FitOption = Annotated[
    Fit | None,
    typer.Option(
        "--fit",
        metavar="HOW",
        help="crop: the centre square, as ImageNet models are evaluated; what is cut off is "
        "not seen and shown grey. squash: the whole photograph, distorted to a square. whole: "
        "the whole photograph undistorted, at about twice the time. pad: the same in a square, "
        "between margins of the mean colour. "
        "Default: as the weights were trained.",
        rich_help_panel=MODEL,
    ),
]
InputSize = Annotated[
    int | None,
    typer.Option(
        "--input-size",
        help="Side of the network's input in pixels, if not the weights' own. Larger gives "
        "finer maps.",
        rich_help_panel=MODEL,
    ),
]
PreprocessOption = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        help="How the network wants its pixels, where its weights do not say: a preset (imagenet, "
        "inception, clip, caffe, tf: -1 to 1, none: 0 to 1); a file (Hugging Face's "
        "preprocessor_config.json, timm's config.json, TOML, a run.json); or settings, which may "
        "follow a preset: 'size=128x256 resize=256 mean=0.49,0.48,0.45 std=0.25,0.24,0.26 bgr "
        "scale=255 interpolation=bicubic antialias=no channels=1 squash'. What is assumed is told.",
        metavar="HOW",
        show_default=False,
        rich_help_panel=MODEL,
    ),
]
TrustPickle = Annotated[
    bool,
    typer.Option(
        "--trust-pickle",
        help="Open files that hold whole Python objects: this RUNS WHATEVER CODE the file names, "
        "as torch.load(weights_only=False) does. Only for files that you made.",
        rich_help_panel=MODEL,
    ),
]
OutputOption = Annotated[
    AskedOutput,
    typer.Option(
        "--output",
        help="What a network of your own returns: softmax, logits of classes that exclude each "
        "other; sigmoid, logits of labels that do not; binary, one logit for two classes; "
        "probabilities; or none of these but values, an age, say: maps show what raises them. "
        "Default: found out, and told where it is not the first.",
        metavar="KIND",
        show_default=False,
        rich_help_panel=MODEL,
    ),
]
Threshold = Annotated[
    str | None,
    typer.Option(
        "--threshold",
        help="Probability above which a label is predicted, or from which on the second of two "
        "classes is: a number, or a CSV file with the columns class and threshold. Default: 0.5.",
        metavar="P|FILE",
        show_default=False,
        rich_help_panel=MODEL,
    ),
]
NativePredictions = Annotated[
    bool,
    typer.Option(
        "--native-predictions",
        help="With --input-size: take only the map from that size, and predictions and "
        "probabilities from a second pass at the weights' own.",
        rich_help_panel=MODEL,
    ),
]
_METHODS = (
    "auto, the default: the one that suits the network, which the summary names. Or gradcam, "
    "layercam, "
    "scorecam ...: 'camcli methods' lists all with formula and cost. "
    "For networks that end in global average pooling and one linear layer (ResNet, "
    "EfficientNet, DenseNet ...) cam, gradcam, hirescam and xgradcam are the same map up to "
    "a factor, so their pictures are equal; eigencam looks at no class."
)
MethodOption = Annotated[
    str | None, typer.Option("--method", help=_METHODS, rich_help_panel=TARGET)
]
MethodsOption = Annotated[
    str | None,
    typer.Option(
        "--method",
        help=f"{_METHODS} Several with commas between (cam,layercam,scorecam) are drawn beside "
        "each other, of one forward pass.",
        rich_help_panel=TARGET,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        help="Class to explain, by name ('golden retriever') or index, instead of the predicted "
        "one.",
        rich_help_panel=TARGET,
    ),
]
TopK = Annotated[
    int,
    typer.Option(
        "--topk",
        "-k",
        help="Explain each of the K best classes: K maps, side by side in one picture.",
        min=1,
        max=1000,
        metavar="K",
        rich_help_panel=TARGET,
    ),
]
ScoreOption = Annotated[
    AskedScore | None,
    typer.Option(
        "--score",
        help=f"What number of the class the map explains: {score_told()}. "
        "Default: auto: for a network of two classes the contrast, which is the difference to the "
        "other class, else the method's own: the logit, but the probability for scorecam, sscam "
        "and iscam.",
        show_default=False,
        metavar="NUMBER",
        rich_help_panel=TARGET,
    ),
]
LayerOption = Annotated[
    str,
    typer.Option(
        "--layer",
        help="Which layer to explain, by the network's own name for it ('camcli layers' lists "
        "them), or several, a,b,c, whose maps become one. Default: the last map before the "
        "prediction.",
        rich_help_panel=TARGET,
    ),
]
FuseOption = Annotated[
    Fuse,
    typer.Option(
        "--fuse",
        help="How the maps of several layers become one, each scaled to its own maximum first.",
        rich_help_panel=TARGET,
    ),
]
Versus = Annotated[
    str | None,
    typer.Option(
        "--versus",
        help="Class to compare with, by name or index: show what speaks for the target rather "
        "than for this one.",
        rich_help_panel=TARGET,
    ),
]
SmoothOption = Annotated[
    Smooth | None,
    typer.Option(
        "--smooth",
        help="aug: mean of the maps of flipped, dimmed and brightened copies of the image (6 "
        "forward passes). noise: of noisy copies (see --samples). eigen: the main component of "
        "the weighted channels. views: mean with the map at the network's own size and crop, where "
        "--input-size or --fit is another. Predictions stay those of the image itself.",
        rich_help_panel=TARGET,
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(
        "--samples",
        help="How many noisy copies --smooth noise, smoothgradcam++, sscam and iscam take. "
        "Default: 8.",
        min=1,
        max=MOST_SAMPLES,
        rich_help_panel=TARGET,
    ),
]
Channels = Annotated[
    int | None,
    typer.Option(
        "--channels",
        help="Approximate scorecam, sscam and iscam by the N channels that vary most, as "
        "Faster-Score-CAM does: as many forward passes. Default: all channels.",
        min=1,
        rich_help_panel=TARGET,
    ),
]
Converge = Annotated[
    float | None,
    typer.Option(
        "--converge",
        help="Approximate scorecam, sscam and iscam, many times faster: show the masks that tell "
        "most, predict the scores of the others from those of similar masks, and stop when the "
        "map is expected to have this cosine with the full one; 0.98, say.",
        rich_help_panel=TARGET,
    ),
]
BoxThresholdOption = Annotated[
    str | None,
    typer.Option(
        "--box-threshold",
        help="From which share of its maximum on a map is inside its box: 0.2, say; 0.2@90, of its "
        "90th percentile, for objects that fill the picture; otsu, by its histogram, for small "
        "ones; or the FILE.toml of 'camcli evaluate --calibrate'. Default: the checkpoint's where "
        "it was calibrated, or 0.2.",
        metavar="SHARE|SHARE@PERCENTILE|otsu|FILE",
        show_default=False,
        rich_help_panel=TARGET,
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help=f"localize: what finds boxes best with the bundled network: {described('localize')}. "
        "What is said beside it goes over it; its threshold of boxes 'camcli evaluate --calibrate' "
        "can better.",
        metavar="NAME",
        rich_help_panel=TARGET,
    ),
]
Alpha = Annotated[
    float,
    typer.Option(
        "--alpha",
        help="Weight of the heat over the photograph, 0 to 1.",
        rich_help_panel=LOOK,
    ),
]
Colormap = Annotated[
    str,
    typer.Option(
        "--colormap",
        help="jet (as in the papers), viridis, turbo, magma, inferno or cividis.",
        rich_help_panel=LOOK,
    ),
]
Signed = Annotated[
    bool,
    typer.Option(
        "--signed",
        help="Also draw what speaks against the class, in blue; what speaks for it in red; on the "
        "photograph in grey. For methods with signed maps: gradcam, hirescam, ablationcam ...",
        rich_help_panel=LOOK,
    ),
]
Panel = Annotated[
    bool,
    typer.Option(
        "--panel",
        help="Draw the original, the heatmap and the overlay side by side, as papers do.",
        rich_help_panel=LOOK,
    ),
]
MaxSize = Annotated[
    int | None,
    typer.Option(
        "--max-size",
        help="Shrink pictures so that the photograph's longer side has at most this many pixels.",
        rich_help_panel=LOOK,
    ),
]
MinSize = Annotated[
    int,
    typer.Option(
        "--min-size",
        help="Enlarge small photographs so that the longer side has at least this many pixels and "
        "the strip can be read; 0: never. Boxes in tables stay in the photograph's own pixels.",
        min=0,
        max=2000,
        rich_help_panel=LOOK,
    ),
]
Quality = Annotated[
    int,
    typer.Option("--quality", help="JPEG or WebP quality, 1 to 100.", rich_help_panel=LOOK),
]
OverlayFormat = Annotated[
    str,
    typer.Option(
        "--overlay-format",
        help=f"What the pictures are written as: {', '.join(KINDS)}.",
        metavar="NAME",
        rich_help_panel=LOOK,
    ),
]
DrawBox = Annotated[
    bool,
    typer.Option(
        "--draw-box",
        help="Outline each map's box, as the table has it. --preset localize does so.",
        rich_help_panel=LOOK,
    ),
]

OverwritePictures = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace pictures that exist already.", rich_help_panel=RUN),
]

Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        help="Photographs to compare with, of good pieces say: a folder, a quoted glob or "
        "@list.txt. How different each image is from these is told, with its place among them, and "
        "where: DiffCAM. No classes are needed, any network will do.",
        metavar="FOLDER",
        rich_help_panel=IMAGE,
    ),
]
