import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from camcli.batch.engine import stream
from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.tables.heatmaps import LARGEST, Heatmaps, line, read_heatmaps
from camcli.data.sources.find import find_images
from camcli.data.sources.refs import ImageRef
from camcli.result import Heat, Result


def result_of(heatmap, rel="a.jpg", truth=None):
    return Result(
        ImageRef(None, rel),
        heats=(Heat("cat", 0, 0.75, heatmap),),
        view=(0.0, 0.0, 10.0, 10.0),
        truth=truth,
    )


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, LARGEST), st.integers(1, LARGEST)),
        elements=st.floats(-(2.0**60), 2.0**60, width=32),
    ),
    st.text(),
)
def test_what_is_written_is_read_back_to_half_precision(tmp_path_factory, heatmap, rel):
    path = tmp_path_factory.mktemp("heat") / "heatmaps.jsonl"
    with Heatmaps(path) as file:
        file.append(result_of(heatmap, rel))
    (record,) = read_heatmaps(path)
    high = np.abs(heatmap).max()
    assert record["path"] == rel
    np.testing.assert_allclose(record["maps"][0]["values"], heatmap, atol=high / 1000, rtol=1e-3)


def test_a_difference_is_kept_with_its_sign_and_the_class_it_is_to(tmp_path):
    signed = np.array([[-2.0, 0.5], [0.0, 1.0]], np.float32)
    result = replace(
        result_of(np.eye(2, dtype=np.float32)), against="dog",
        difference=Heat("cat", 0, 0.75, signed),
    )  # fmt: skip
    path = tmp_path / "h.jsonl"
    path.write_text(line(result))
    (record,) = read_heatmaps(path)
    assert (record["difference"]["target"], record["against"]) == ("cat", "dog")
    np.testing.assert_array_equal(record["difference"]["values"], signed)


def test_a_file_of_before_there_were_differences_is_read(tmp_path):
    before = json.loads(line(result_of(np.eye(2, dtype=np.float32))))
    assert not before.keys() & {"difference", "against"}, "nothing is written where there is none"
    path = tmp_path / "h.jsonl"
    path.write_text(json.dumps(before) + "\n")
    (record,) = read_heatmaps(path)
    assert (record["difference"], record["against"]) == (None, None)


@pytest.mark.parametrize("against", [None, 3, ["dog"]])
def test_a_difference_to_nothing_is_no_difference(tmp_path, against):
    record = json.loads(line(result_of(np.eye(2, dtype=np.float32))))
    record |= {"difference": record["maps"][0], "against": against}
    path = tmp_path / "h.jsonl"
    path.write_text(json.dumps(record) + "\n")
    assert list(read_heatmaps(path)) == []


def test_names_that_are_no_unicode_survive(tmp_path):
    rel = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    path = tmp_path / "h.jsonl"
    path.write_text(line(result_of(np.eye(3, dtype=np.float32), rel)), "ascii")
    assert [record["path"] for record in read_heatmaps(path)] == [rel]


def test_maps_of_early_layers_are_averaged_down(tmp_path):
    fine = np.kron(np.arange(4, dtype=np.float32).reshape(2, 2), np.ones((32, 32), np.float32))
    record = json.loads(line(result_of(fine)))
    assert record["maps"][0]["shape"] == [LARGEST, LARGEST]
    path = tmp_path / "h.jsonl"
    path.write_text(line(result_of(fine)))
    (read,) = read_heatmaps(path)
    assert read["maps"][0]["values"].mean() == pytest.approx(1.5, rel=1e-3)


def test_a_torn_line_costs_only_itself(tmp_path):
    path = tmp_path / "h.jsonl"
    whole = line(result_of(np.eye(2, dtype=np.float32), "first.jpg"))
    path.write_text(whole + whole[:40])
    with Heatmaps(path) as file:
        file.append(result_of(np.eye(2, dtype=np.float32), "second.jpg"))
    assert [record["path"] for record in read_heatmaps(path)] == ["first.jpg", "second.jpg"]


def test_failed_images_have_no_line(tmp_path):
    with Heatmaps(tmp_path / "h.jsonl") as file:
        file.append(Result(ImageRef(None, "broken.jpg"), status="error", error="no"))
    assert (tmp_path / "h.jsonl").read_text() == ""


def test_a_run_keeps_the_maps_of_its_results_and_of_the_true_class(bundled, folder, tmp_path):
    what = make_explanation(bundled, "gradcam")
    source = find_images(folder, labels=r"(.)/")
    # Letters name no class of the network; give some images a label that it knows.
    wrong = [
        ImageRef(ref.path, ref.rel, "golden retriever" if n < 4 else ref.label)
        for n, ref in enumerate(source)
    ]
    run = Run(_Listed(source, wrong), bundled, what, RunDirectory(tmp_path / "run"))
    run.prepare()
    results = {result.ref.rel: result for result in run if result.status != "error"}
    records = {r["path"]: r for r in read_heatmaps(tmp_path / "run" / "heatmaps.jsonl")}
    assert records.keys() == results.keys()
    seen = 0
    for rel, result in results.items():
        heat = result.heats[0].heatmap
        record = records[rel]
        assert record["maps"][0]["target"] == result.pred
        assert record["view"] == pytest.approx(result.view, abs=1e-2)
        np.testing.assert_allclose(
            record["maps"][0]["values"], heat, atol=np.abs(heat).max() / 1000, rtol=1e-3
        )
        known = result.ref.label == "golden retriever"
        assert (record["truth"] is not None) == known
        assert len(result.heats) == 1
        if known:
            seen += 1
            alone = make_explanation(bundled, "gradcam", target="golden retriever")
            (again,) = stream([result.ref], bundled, alone)
            truth = again.heats[0].heatmap
            np.testing.assert_allclose(
                record["truth"]["values"], truth, atol=np.abs(truth).max() / 500, rtol=2e-3
            )
            assert record["truth"]["target"] == "golden retriever"
    assert seen >= 2


class _Listed:
    """A source with other labels."""

    def __init__(self, source, refs):
        self.root, self.finder = source.root, source.finder
        self.labelled, self.left_out, self._refs = True, source.left_out, refs

    def __iter__(self):
        return iter(self._refs)

    def count(self):
        return len(self._refs)


def test_features_are_read_back_and_older_files_have_none(tmp_path):
    path = tmp_path / "h.jsonl"
    features = np.linspace(-1, 1, 128).astype(np.float16)
    plain = result_of(np.eye(2, dtype=np.float32), "plain.jpg")
    told = replace(result_of(np.eye(2, dtype=np.float32), "told.jpg"), features=features)
    path.write_text(line(plain) + line(told))
    first, second = read_heatmaps(path)
    assert first["features"] is None
    assert "features" not in json.loads(line(plain))
    assert second["features"].dtype == np.float16
    np.testing.assert_array_equal(second["features"], features)


@pytest.mark.parametrize(
    "told", [3, "", "AA", "A!==", [1], {}, "AHw=" + "", "/38=", "AAAA" * 200, None, True]
)
def test_what_are_no_features_costs_the_features_only(tmp_path, told):
    path = tmp_path / "h.jsonl"
    record = json.loads(line(result_of(np.eye(2, dtype=np.float32))))
    path.write_text(json.dumps({**record, "features": told}) + "\n")
    (read,) = read_heatmaps(path)
    assert read["features"] is None
    assert read["maps"][0]["values"].shape == (2, 2)
