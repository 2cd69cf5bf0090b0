"""What ``--help`` shows of the commands that have many options; ``--help-all`` shows the rest.

One table: which options a newcomer needs, command by command, each in words that fit a line or two.
What is not in it is still an option, and `camcli COMMAND --help-all` describes each in full.
"""

from __future__ import annotations

WORDS = {
    "--address": "Of a Ray cluster.",
    "--group": "Images that stay in one split: '^(.+?)_\\d+'.",
    "--search": "Find the best look and head: on by default.",
    "--backbone": "One of 'camcli models', in place of a search for one.",
    "--bootstrap": "Resamples for the intervals.",
    "--boxes": "Boxes: Pascal VOC, COCO or CSV.",
    "--checkpoint": "A classifier that 'camcli train' made.",
    "--config": "A TOML file with these settings.",
    "--contact-sheet": "Also one picture of a grid of results: 4x6.",
    "--data": "A folder a class, a CSV, or fruits360 ...",
    "--export": "A file for the paths of what has issues.",
    "--export-kinds": "Which issues' paths: suspect-label,outlier.",
    "--fit": "What it sees: crop, squash or whole.",
    "--grid": "Also the grid game: needs no boxes.",
    "--input-size": "Side of its input in pixels; larger gives finer maps.",
    "--json": "Print the results as JSON.",
    "--l2": "Strength of the head's weight decay; by default chosen by validation.",
    "--labels": "True labels: auto, folder, prefix, none, a regex.",
    "--layer": "One of 'camcli layers', or several, a,b.",
    "--limit": "Take only the first N images.",
    "--masks": "Folder of masks of the objects.",
    "--method": "auto, or one of 'camcli methods'.",
    "--methods": "Several of 'camcli methods', a,b.",
    "--model": "One of 'camcli models', or your own.",
    "--models": "Networks or checkpoints, side by side.",
    "--no-overlays": "Write the table only.",
    "--number": "How many concepts, 1 to 8.",
    "--only": "Draw 'wrong', 'below 0.6' or 'class NAME'.",
    "--out": "Folder for what is made.",
    "--output": "What a network of your own returns: softmax, sigmoid ...",
    "--threshold": "Probability above which a label is predicted, or a CSV of them.",
    "--overwrite": "Replace what is in --out.",
    "--panel": "Original, heatmap, overlay side by side.",
    "--precision": "float32; bfloat16, float16; or int8.",
    "--preset": "localize: what finds boxes best.",
    "--quiet": "No progress and no summary.",
    "--report": "Also make the page of 'camcli report'.",
    "--resume": "Go on with an interrupted run.",
    "--runtime": "torch, openvino, compile, or auto.",
    "--sanity": "Also: do maps need what it learned?",
    "--sample": "Photographs of a class to compare and change.",
    "--seed": "Of everything that is drawn by chance.",
    "--shard": "Part i of n, on one of many machines.",
    "--signed": "Also what speaks against it, in blue.",
    "--suite": "Which map to believe: quick, standard, full.",
    "--tensorboard": "Also write TensorBoard's files.",
    "--target": "Class to explain, not the predicted one.",
    "--test": "Share that is kept for the test.",
    "--time-limit": "Seconds; what is then left out is named.",
    "--topk": "Explain each of the K best classes.",
    "--unfreeze": "Then let these layers learn, too: all.",
    "--val": "Share that is kept for validation.",
    "--versus": "Class to compare with: why not that one?",
    "--weights": "A file with the network's weights.",
}

OF_COMMAND = {
    ("train", "--time-limit"): "Of the search: 90s, 5m, 1h.",
}
"""Words of a command whose option is not quite what it is in the others."""

SHOWN = {
    "explain": "--out --method --target --topk --versus --layer --model --checkpoint --weights "
    "--fit --panel --signed --json --overwrite",
    "batch": "--out --resume --overwrite --labels --limit --method --preset --layer --model "
    "--checkpoint --fit --only --no-overlays --report --shard",
    "train": "--data --out --resume --overwrite --val --test --group --search --time-limit "
    "--backbone --unfreeze --config --tensorboard --seed --quiet",
    "evaluate": "--suite --methods --models --preset --boxes --masks --labels --grid --sanity "
    "--limit --layer --out --overwrite --config",
    "audit": "--masks --labels --sample --time-limit --model --checkpoint --weights --fit --out "
    "--overwrite",
    "check": "--labels --export --export-kinds --time-limit --model --checkpoint --out --overwrite",
    "concepts": "--out --number --layer --model --checkpoint --weights --fit --json --overwrite",
}

PANELS = {
    "train": ["Data", "Search", "Model", "Head", "Fine-tuning", "How good it is", "Run"],
}
"""The order of the groups in ``--help-all``, where it is not that of the options."""


def shown(command: str) -> dict[str, str]:
    """The options that ``--help`` shows of a command, with their words; empty for: all of them."""
    return {
        option: OF_COMMAND.get((command, option)) or WORDS[option]
        for option in SHOWN.get(command, "").split()
    }
