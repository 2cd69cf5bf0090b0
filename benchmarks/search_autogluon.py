"""AutoGluon on the images of a table, run by the Python of an environment that has it.

    VENV/bin/python benchmarks/search_autogluon.py TABLE OUT.json --weights FOLDER --seconds 300

Its image predictor fine-tunes a network of timm. FOLDER has the same EfficientNet-Lite0 as
camcli's (`train_search.py` writes it), as AutoGluon's own choice would be fetched from a hub, which
is not to be had here. Everything else is AutoGluon's default. This file imports nothing of camcli.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    start = time.perf_counter()

    import autogluon.multimodal as multimodal
    import pandas

    rows = pandas.read_csv(args.table)
    train, test = rows[rows.split == "train"], rows[rows.split == "test"]
    with tempfile.TemporaryDirectory() as folder:
        predictor = multimodal.MultiModalPredictor(
            label="label", problem_type="classification", path=str(Path(folder, "run")),
            verbosity=1,
        )  # fmt: skip
        predictor.fit(
            train[["path", "label"]], time_limit=args.seconds, seed=args.seed,
            hyperparameters={
                "model.names": ["timm_image"],
                "model.timm_image.checkpoint_name": str(args.weights),
                "env.num_gpus": 0,
            },
        )  # fmt: skip
        trained = time.perf_counter() - start
        predicted = predictor.predict(test[["path"]])
    hits = dict(zip(test.path, (predicted.to_numpy() == test.label.to_numpy()).tolist(),
                    strict=True))  # fmt: skip
    told = {"hits": hits, "seconds": trained, "version": multimodal.__version__}
    args.out.write_text(json.dumps(told), "utf-8")


if __name__ == "__main__":
    main()
