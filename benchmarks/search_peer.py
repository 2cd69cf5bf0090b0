"""The parts of `train_search.py` that need torch, each run as a process of its own.

    python benchmarks/search_peer.py sklearn TABLE CACHE OUT.json [--run RUN] [--seed N]
    python benchmarks/search_peer.py lite0 FOLDER

sklearn: what scikit-learn's classifiers reach on features that camcli computed, by its usual means
of choosing: a standardising pipeline, and five folds for the strength. Features are those of the
bundled network as it stands, or with --run those that a run of camcli chose.
lite0: the bundled network as a folder that timm, and so AutoGluon, reads.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

from torch import Tensor

from camcli.train.config import TrainConfig
from camcli.train.config_file import resolve
from camcli.train.dataset import read_data
from camcli.train.feature_pass.cache import cache_root
from camcli.train.feature_pass.examples import Examples, Looker
from camcli.train.feature_pass.features import ImageView
from camcli.train.prepare import load_backbones
from camcli.train.progress import Listener


def features(config: TrainConfig, cache: Path) -> dict[str, tuple[Tensor, Tensor, list[str]]]:
    """By split: features (N, K) float32, targets (N,) and paths."""
    dataset = read_data(config)
    backbone = load_backbones(config, "cpu", offline=True)[0]
    found = {}
    with backbone.cache(cache_root(cache)) as kept:
        looker = Looker(backbone.sight, kept, Listener())
        for name in ("train", "val", "test"):
            examples = Examples.of(dataset.split(name))
            rows = looker.look(examples, ImageView(backbone.classifier), name).float()
            paths = [item.ref.rel for item in examples.items]
            found[name] = rows, examples.targets, paths
    return found


def by_sklearn(args: argparse.Namespace) -> dict[str, Any]:
    """Hits of each classifier on what is held out; camcli's validation images train, too."""
    import numpy as np
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler
    from sklearn.svm import SVC

    if args.run:
        config = resolve(args.run / "config.toml", {})
    else:
        config = TrainConfig(data=str(args.table), backbone="efficientnet_lite0", seed=args.seed)
    start = time.perf_counter()
    found = features(config, args.cache)
    looked = time.perf_counter() - start
    X = np.concatenate([found[name][0].numpy() for name in ("train", "val")])
    y = np.concatenate([found[name][1].numpy() for name in ("train", "val")])
    held, truth, paths = found["test"]
    folds = StratifiedKFold(5, shuffle=True, random_state=args.seed)
    ways = {
        "logistic regression": make_pipeline(
            StandardScaler(),
            LogisticRegressionCV(
                Cs=np.logspace(-5, 0, 11), cv=folds, scoring="neg_log_loss", max_iter=300,
            ),
        ),
        "support vectors, RBF": GridSearchCV(
            make_pipeline(StandardScaler(), SVC()),
            {"svc__C": [1, 10, 100], "svc__gamma": ["scale"]}, cv=folds,
        ),
        "nearest neighbours, cosine": GridSearchCV(
            make_pipeline(Normalizer(), KNeighborsClassifier()),
            {"kneighborsclassifier__n_neighbors": [1, 5, 11, 21]}, cv=folds,
        ),
    }  # fmt: skip
    told: dict[str, Any] = {"looked": looked, "channels": X.shape[1], "ways": {}}
    for name, way in ways.items():
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hit = way.fit(X, y).predict(held.numpy()) == truth.numpy()
        told["ways"][name] = {
            "seconds": time.perf_counter() - start,
            "hits": dict(zip(paths, hit.tolist(), strict=True)),
        }
    return told


def write_lite0(folder: Path) -> None:
    """``config.json`` and ``pytorch_model.bin``, as timm's models are kept on a hub."""
    import torch

    from camcli.models.loading.zoo import build_model

    built = build_model("efficientnet_lite0")
    pre = built.preprocess
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {n: t for n, t in built.module.state_dict().items() if "classifier" not in n}
    torch.save(tensors, folder / "pytorch_model.bin")
    settings = {
        "input_size": [3, pre.size, pre.size], "interpolation": pre.interpolation,
        "crop_pct": pre.crop_pct, "mean": list(pre.mean), "std": list(pre.std),
        "num_classes": 1000, "pool_size": [7, 7], "first_conv": "conv_stem",
        "classifier": "classifier",
    }  # fmt: skip
    config = {
        "architecture": "tf_efficientnet_lite0", "num_classes": 0, "num_features": 1280,
        "pretrained_cfg": settings, **settings,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=["sklearn", "lite0"])
    parser.add_argument("table", type=Path, help="or the folder that is written")
    parser.add_argument("cache", type=Path, nargs="?")
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.part == "lite0":
        write_lite0(args.table)
        return
    args.out.write_text(json.dumps(by_sklearn(args)), "utf-8")


if __name__ == "__main__":
    main()
