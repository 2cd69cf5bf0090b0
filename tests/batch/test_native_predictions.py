"""Predictions at the weights' own size, maps from a larger one: both as each is alone."""

from __future__ import annotations

import json
import pickle
from functools import partial

import numpy as np
import pytest
import torch

from camcli.batch.explain import make_explanation
from camcli.batch.ray.worker import Worker, WorkerTask
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.tables.journal import read_rows
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import Checkpoint, save_checkpoint
from camcli.models.loading.zoo import build_model
from camcli.models.runtime import openvino
from camcli.render.style import Style

PREDICTED = ("path", "status", "pred", "prob", "target", "top2", "top2_prob", "top5", "top5_prob")
LOAD = partial(load_classifier, input_size=320, native_predictions=True)


def run(classifier, images, out, target=None, **options):
    what = make_explanation(classifier, target=target)
    one = Run(find_images(images), classifier, what, RunDirectory(out), **options)
    one.prepare()
    return {result.ref.rel: result for result in one}


def predicted(out):
    return [[row[name] for name in PREDICTED] for row in read_rows(out / "predictions.csv")]


@pytest.fixture(scope="module")
def both():
    return LOAD()


def maps(results):
    return {rel: result.heats[0].heatmap for rel, result in results.items() if result.heats}


@pytest.mark.slow
def test_each_is_what_it_is_alone(both, bundled, folder, tmp_path):
    results = run(both, folder, tmp_path / "both", batch_size=9)
    native = run(bundled, folder, tmp_path / "native", batch_size=9)
    assert predicted(tmp_path / "both") == predicted(tmp_path / "native")
    assert [r.heats[0].prob for r in results.values() if r.heats] == [
        r.heats[0].prob for r in native.values() if r.heats
    ]

    larger = load_classifier(input_size=320)
    of_larger = run(larger, folder, tmp_path / "larger", batch_size=9)
    # Drawn noise is another class at another size: what the option is about.
    assert [r.pred for r in of_larger.values()] != [r.pred for r in native.values()]
    target = "teddy"
    got = maps(run(both, folder, tmp_path / "a", target, batch_size=9, overlays=False))
    truth = maps(run(larger, folder, tmp_path / "b", target, batch_size=9, overlays=False))
    assert len(got) == 7
    for rel, heatmap in got.items():
        assert heatmap.shape == (10, 10)
        assert np.array_equal(heatmap, truth[rel])

    config, plain = (
        json.loads((tmp_path / name / "run.json").read_text())["config"]
        for name in ("both", "larger")
    )
    assert (config["preprocess"]["size"], config["predict_size"]) == (320, 224)
    assert "predict_size" not in plain
    with pytest.raises(UsageError, match="differ: predict_size 224 and None"):
        Run(find_images(folder), larger, make_explanation(larger), RunDirectory(tmp_path / "both")
            ).prepare(resume=True)  # fmt: skip


def test_tar_shards_do_the_same(both, folder, shards, tmp_path):
    run(both, folder, tmp_path / "local", overlays=False)
    run(both, shards, tmp_path / "tars", overlays=False)
    assert predicted(tmp_path / "tars") == predicted(tmp_path / "local")


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_rays_workers_and_openvino_do_the_same(both, folder, tmp_path, monkeypatch, runtime):
    monkeypatch.setattr(openvino, "_cores", None)  # undone at the end
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is not installed")
    here = run(both, folder, tmp_path / "local", overlays=False)
    job = WorkerTask(
        LOAD, both.provenance.sha256, runtime, "float32", make_explanation(both), None,
        tmp_path / "no token", folder, Style(), None, None, False, None, None, cores=1,
    )  # fmt: skip
    refs = list(find_images(folder))
    answer = Worker(pickle.loads(pickle.dumps(job)))(
        {"number": np.arange(len(refs)), "ref": [pickle.dumps(ref) for ref in refs]}
    )
    there = [pickle.loads(data) for data in answer["result"]]
    assert [r.pred for r in there] == [r.pred for r in here.values()]
    for a, b in zip(there, here.values(), strict=True):
        if b.heats:
            assert a.prob == pytest.approx(b.prob, rel=1e-3)
            scale = np.abs(b.heats[0].heatmap).max()
            assert np.allclose(a.heats[0].heatmap, b.heats[0].heatmap, atol=1e-3 * scale)


def test_whole_photographs_and_smaller_maps(bundled, folder, tmp_path):
    """Inputs of other shapes at both sizes; a map that is coarser than the predictions' is fine."""
    classifier = load_classifier(fit="whole", input_size=160, native_predictions=True)
    run(classifier, folder, tmp_path / "both", overlays=False)
    run(load_classifier(fit="whole"), folder, tmp_path / "native", overlays=False)
    assert predicted(tmp_path / "both") == predicted(tmp_path / "native")


def test_a_photograph_is_decoded_large_enough_for_both(folder, tmp_path):
    classifier = load_classifier(input_size=128, native_predictions=True)
    one = Run(
        find_images(folder), classifier, make_explanation(classifier), RunDirectory(tmp_path),
        overlays=False,
    )  # fmt: skip
    assert one.enough().short == load_classifier().preprocess.enough()


def test_refused_where_it_means_nothing_and_free_at_the_own_size():
    with pytest.raises(UsageError, match="add --input-size"):
        load_classifier(native_predictions=True)
    assert load_classifier(input_size=224, native_predictions=True).predicting is None


def test_a_checkpoints_own_size(both, tmp_path):
    """Is the one that the classifier was trained at, not its backbone's."""
    state = build_model().module.state_dict()
    saved = Checkpoint(
        "efficientnet_lite0", ("a", "b"), both.predicting.with_(size=96),
        {n: tensor for n, tensor in state.items() if not n.startswith("classifier")},
        torch.randn(2, 1280, generator=torch.Generator().manual_seed(0)), torch.zeros(2),
    )  # fmt: skip
    save_checkpoint(tmp_path / "own.safetensors", saved)
    classifier = LOAD(checkpoint=tmp_path / "own.safetensors")
    assert (classifier.preprocess.size, classifier.predicting.size) == (320, 96)
