"""`camcli.train`: from a folder to a classifier, in Python."""

import numpy as np
import pytest
from PIL import Image

import camcli
from camcli.errors import UsageError
from camcli.train.config import TrainConfig
from camcli.train.config_file import to_toml

QUICK = {"backbone": "shufflenet_v2_x0_5", "weights": "random", "input_size": 64, "epochs": 2}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of plain colours, as files called prefix.n.png."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, colour in (("red", (200, 40, 40)), ("blue", (40, 60, 200))):
        for n in range(8):
            rgb = rng.normal(colour, 20, (40, 40, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(rgb).save(root / f"{name}.{n}.png")
    return root


def test_a_classifier_of_ones_own(photos, tmp_path):
    result = camcli.train(photos, tmp_path / "run", labels="prefix", val=0.25, **QUICK)
    assert result.scores["val"]["count"] == 4
    assert result.checkpoint == tmp_path / "run" / "best.safetensors"
    mine = camcli.load_classifier(checkpoint=result.checkpoint)
    assert set(mine.classes) == {"red", "blue"}
    with pytest.raises(UsageError, match="not empty"):
        camcli.train(photos, tmp_path / "run", labels="prefix", val=0.25, **QUICK)
    again = camcli.train(photos, tmp_path / "run", labels="prefix", val=0.25, resume=True, **QUICK)
    assert again.scores == result.scores


def test_settings_win_over_a_config_which_wins_over_the_defaults(photos, tmp_path):
    config = TrainConfig(data=str(photos), labels="prefix", val=0.25, **QUICK)
    (tmp_path / "c.toml").write_text(to_toml(config), "utf-8")
    for number, given in enumerate((config, tmp_path / "c.toml")):
        out = tmp_path / f"run{number}"
        camcli.train(out=out, config=given, epochs=1)
        rows = (out / "metrics.csv").read_text().splitlines()
        assert len(rows) == 2  # a heading and one epoch


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"epoch": 3}, "did you mean epochs"),
        ({"lr": "fast"}, "lr must be a number"),
        ({"solver": "adam"}, "--solver takes adamw"),
        ({"backbone": "resnet19"}, "Did you mean"),
        ({"device": "gpu"}, "Unknown device"),
        ({"download": True}, "that has a name"),
        ({"labels": "("}, "regular expression"),
    ],
)
def test_mistakes_teach(photos, tmp_path, settings, part):
    with pytest.raises(UsageError, match=part):
        camcli.train(photos, tmp_path / "run", **settings)
    with pytest.raises(UsageError, match="Nothing to train on"):
        camcli.train(out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
