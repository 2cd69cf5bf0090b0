import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from camcli.batch.engine import stream
from camcli.batch.explain import make_explanation
from camcli.batch.features import pooled_features, projection
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.tables.heatmaps import FEATURES, read_heatmaps
from camcli.data.sources.find import find_images


@pytest.mark.parametrize("channels", [1, 5, 128, 129, 512, 2048])
def test_the_projection_is_orthonormal(channels):
    turn = projection(channels)
    n = min(channels, FEATURES)
    assert turn.shape == (channels, n)
    np.testing.assert_allclose(turn.T @ turn, np.eye(n), atol=1e-5)
    assert np.array_equal(turn, projection(channels))


def test_another_process_makes_the_same_projection():
    code = (
        "from camcli.batch.features import projection as p; "
        "print(abs(p(700)).sum().round(2), p(700)[3, 5].round(6), p(700)[699, 127].round(6))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    turn = projection(700)
    told = [float(word) for word in said.stdout.split()]
    assert told == pytest.approx([np.abs(turn).sum(), turn[3, 5], turn[699, 127]], abs=0.01)


def test_angles_between_photographs_are_kept():
    draw = np.random.default_rng(0)
    centres = draw.gamma(1.0, 1.0, (6, 1280))
    A = torch.tensor(
        np.repeat(centres, 4, 0) + draw.gamma(1.0, 0.6, (24, 1280)), dtype=torch.float32
    )[:, :, None, None].expand(-1, -1, 3, 2)
    found = np.stack(pooled_features(A)).astype(np.float64)
    exact = A.mean((2, 3)).double().numpy()
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
    wrong = found @ found.T - exact @ exact.T
    # By Johnson and Lindenstrauss' argument the error of a cosine is about 1/sqrt(128) at most.
    assert np.sqrt((wrong**2).mean()) < 128**-0.5
    assert np.abs(wrong).max() < 3 * 128**-0.5
    # The three that are of the same centre are the nearest three.
    for i, row in enumerate(found @ found.T):
        nearest = np.argsort(-row)[1:4]
        assert {n // 4 for n in nearest} == {i // 4}


def test_few_channels_are_kept_as_they_are():
    A = torch.tensor([[3.0, -4.0], [0.0, 0.0], [6e37, 8e37]])[:, :, None, None]
    found = pooled_features(A)
    np.testing.assert_allclose(found[0], [0.6, -0.8], atol=1e-3)
    assert not found[1].any()
    np.testing.assert_allclose(found[2], [0.6, 0.8], atol=1e-3)


def test_what_is_not_finite_is_no_features():
    A = torch.ones(3, 4, 2, 2)
    A[1, 2, 0, 0] = torch.nan
    first, second, third = pooled_features(A)
    assert second is None
    np.testing.assert_allclose(first, third)


def test_a_run_keeps_the_features_of_its_photographs_whatever_the_batches(
    bundled, folder, tmp_path
):
    what = make_explanation(bundled, "gradcam")
    source = find_images(folder)
    for name, size in (("one", 1), ("three", 3)):
        run = Run(source, bundled, what, RunDirectory(tmp_path / name), batch_size=size)
        run.prepare()
        assert all(r.features is not None for r in run if r.status != "error")
    one, three = (
        {r["path"]: r["features"] for r in read_heatmaps(tmp_path / name / "heatmaps.jsonl")}
        for name in ("one", "three")
    )
    assert one.keys() == three.keys()
    assert len(one) > 3
    for path, features in one.items():
        assert features.shape == (FEATURES,)
        np.testing.assert_allclose(features, three[path], atol=4e-3)
    # They are those of the layer that is explained, averaged over the picture.
    asked = replace(what, features=True)
    (result,) = stream([next(iter(source))], bundled, asked)
    np.testing.assert_allclose(result.features, one[result.ref.rel], atol=4e-3)


def test_nobody_pays_for_features_that_were_not_asked_for(bundled, folder):
    what = make_explanation(bundled, "gradcam")
    (result,) = stream([next(iter(find_images(folder)))], bundled, what)
    assert result.features is None
