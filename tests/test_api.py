"""The commands as functions: every option that the command line has, with the same effect."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import camcli
from camcli import api
from camcli.cli.commands.batch import batch as batch_command
from camcli.cli.commands.explain import explain as explain_command
from camcli.errors import UsageError
from camcli.render.style import Style

# Belong to `load_classifier`, to what is printed, or to the files of a command.
LOADING = {"model", "checkpoint", "weights", "weights_key", "classes", "fit", "device", "offline",
           "output", "preprocess", "trust_pickle", "threshold"}  # fmt: skip
COMMAND = {"out", "as_json", "save_raw", "overwrite", "topk_files", "images", "methods",
           "quiet", "report", "contact_sheet", "contact_order", "fail_on", "shard", "no_overlays",
           "table_format", "scale", "engine", "address"}  # fmt: skip


@pytest.fixture
def cat(tmp_path, photos):
    Image.fromarray(photos[0]).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


@pytest.mark.parametrize(
    ("command", "function"), [(explain_command, api.explain), (batch_command, api.batch)]
)
def test_every_option_of_an_explanation_is_there_and_described(command, function):
    style = set(inspect.signature(Style).parameters)
    wanted = set(inspect.signature(command).parameters) - LOADING - COMMAND - style
    has = set(inspect.signature(function).parameters)
    assert wanted <= has
    described = inspect.getdoc(function)
    assert [name for name in has if f"{name}: " not in described] == []


def test_options_reach_the_map(cat, bundled):
    plain = camcli.explain(cat, bundled).heats[0].heatmap
    for options in (
        {"versus": "golden retriever"},
        {"smooth": "noise", "samples": 1},
        {"method": "scorecam", "channels": 2},
        {"method": "scorecam", "channels": 4, "converge": 0.5},
        {"score": "contrast"},
        {"target": "tabby"},
    ):
        assert not np.array_equal(camcli.explain(cat, bundled, **options).heats[0].heatmap, plain)


def test_layers_and_size_load_the_network_so(cat):
    result = camcli.explain(
        cat, "efficientnet_lite0", layer="blocks.3,last", fuse="max", input_size=320
    )
    assert result.layer == "blocks.3.2,bn2"
    assert result.heats[0].heatmap.shape == (20, 20)


def test_a_loaded_network_has_its_layer_and_size(cat, bundled):
    with pytest.raises(UsageError, match="give layer and input_size to load_classifier"):
        camcli.explain(cat, bundled, layer="blocks.5", input_size=320)


def test_a_folder_with_signed_pictures(cat, bundled, tmp_path):
    (result,) = camcli.batch(
        cat.parent, tmp_path / "run", bundled, method="hirescam", versus="tiger cat",
        target="tabby", signed=True,
    )  # fmt: skip
    assert (tmp_path / "run" / result.overlay).is_file()
    with pytest.raises(UsageError, match="layercam"):
        camcli.batch(cat.parent, tmp_path / "other", bundled, method="layercam", signed=True)
    for unsigned in ({"method": "layercam"}, {"method": ["gradcam", "refinecam"]},
                     {"smooth": "views"}):  # fmt: skip
        with pytest.raises(UsageError, match="--signed"):
            camcli.explain(cat, bundled, signed=True, **unsigned)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active"), ({"GOMP_SPINCOUNT": "5"}, None)],
)
def test_threads_that_wait_sleep_unless_the_user_said_how(given, expected):
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", "import camcli, os; print(os.environ.get('OMP_WAIT_POLICY'))"],
        env=kept | given, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(expected)


def test_layers_are_listed_and_can_be_explained(cat):
    found = camcli.layers(input_size=320)
    assert found.shape == (1280, 10, 10)
    names = [layer.name for layer in found.layers]
    assert found.last in names
    assert camcli.explain(cat, layer=found.last, input_size=320).heats[0].heatmap.shape == (10, 10)


def test_pictures_and_raw_maps_are_written_where_it_is_said(cat, bundled, tmp_path):
    result = camcli.explain(cat, bundled, out=tmp_path / "out", save_raw=True, panel=True)
    assert result.overlay == str(tmp_path / "out" / "cat_gradcam_panel.jpg")
    with np.load(tmp_path / "out" / "cat_gradcam_panel.npz") as raw:
        assert np.array_equal(raw["heatmaps"][0], result.heats[0].heatmap)
    with pytest.raises(UsageError, match="overwrite"):
        camcli.explain(cat, bundled, out=tmp_path / "out", panel=True)
    with pytest.raises(UsageError, match="out"):
        camcli.explain(cat, bundled, save_raw=True)


def test_what_is_about_a_runs_files_needs_a_run(cat, bundled):
    for name, value in {"resume": True, "shard": "1/2", "contact_sheet": "2x2"}.items():
        with pytest.raises(UsageError, match=f"{name} is for runs"):
            camcli.batch(cat.parent, classifier=bundled, **{name: value})


def test_a_run_in_python_has_its_sheet_and_its_table(cat, bundled, tmp_path):
    pytest.importorskip("pyarrow", reason="for Parquet")
    run = tmp_path / "run"
    made = camcli.batch(
        cat.parent, run, bundled, contact_sheet="1x1", table_format="parquet", limit=1
    )
    assert [result.status for result in made] == ["ok"]
    assert {"predictions.csv", "predictions.parquet", "contact_sheet.jpg"} <= {
        path.name for path in run.iterdir()
    }


def test_ray_needs_a_network_that_it_can_load_itself(cat, bundled, tmp_path):
    pytest.importorskip("ray", reason="the engine")
    with pytest.raises(UsageError, match="ModelJob"):
        camcli.batch(cat.parent, tmp_path / "run", bundled, engine="ray")


def test_concepts_are_found_and_drawn_where_it_is_said(cat, bundled, tmp_path):
    made = camcli.concepts([cat], classifier=bundled, number=2)
    assert len(made.found.concepts) == 2
    assert made.written == {}
    made = camcli.concepts([cat], tmp_path / "out", bundled, number=2)
    assert made.errors == []
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["cat_concepts.jpg", "concepts.csv"]


def test_a_notebook_completes_the_functions():
    assert {"explain", "batch", "train", "evaluate", "audit"} <= set(dir(camcli))
