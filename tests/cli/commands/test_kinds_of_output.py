"""`batch` and `explain` of networks of labels, of one logit and of values: numbers by hand."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from camcli.data.decode.preprocess import Preprocess

NETS = """
import torch
from torch import nn

NAMES = ["edema", "mass", "nodule", "pneumonia"]


class Net(nn.Module):
    def __init__(self, outputs, end=None, bias=0.0, scale=40):
        super().__init__()
        torch.manual_seed(outputs)
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, outputs),
        )
        self.net[-1].weight.data.mul_(scale)
        blocks = torch.randn(32, 3, 3, 3).repeat_interleave(11, 2).repeat_interleave(11, 3)
        with torch.no_grad():  # each output is above 0 on half of the pictures
            self.net[-1].bias.data.add_(bias - self.net(blocks).median(0).values)
        self.end = end

    def forward(self, x):
        z = self.net(x)
        return z if self.end is None else self.end(z)


def named(net, names):
    net.classes = names
    return net


def half(): return Net(1, lambda z: 1 / (1 + torch.exp(-z)), scale=8)
def share(): return Net(1, lambda z: 1 / (1 + torch.exp(-z)), scale=80)
def labels(): return named(Net(4, nn.Sigmoid()), NAMES)
def hidden(): return named(Net(4, lambda z: 1 / (1 + torch.exp(-z))), NAMES)
def raw(): return named(Net(4), NAMES)

def classes():
    # As the training of a softmax leaves it: the mean over the classes stays where it began.
    net = Net(4)
    for each in (net.net[-1].weight, net.net[-1].bias):
        each.data -= each.data.mean(0)
    return net


def low(): return named(Net(4, bias=-40.0), NAMES)
def logit(): return Net(1)
def sure(): return Net(1, scale=2000)
def age(): return Net(1, bias=40.0)
def two(): return named(Net(2, bias=30.0), ["age", "height"])
"""
NAMES = ("edema", "mass", "nodule", "pneumonia")


@pytest.fixture
def own(camcli, tmp_path, monkeypatch):
    """Twelve drawn pictures, and networks of one's own over them."""
    (tmp_path / "nets_of_outputs.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    draw = np.random.default_rng(5)
    for n in range(12):
        path = tmp_path / "pics" / "ab"[n % 2] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = draw.integers(0, 255, (3, 3, 3), np.uint8)
        Image.fromarray(blocks).resize((48, 48), Image.Resampling.NEAREST).save(path)

    def run(verb, name, *options):
        what = ("pics",) if verb == "batch" else ("pics/a/0.png",)
        fixed = ("--model", f"nets_of_outputs:{name}", "--input-size", 32, "--fit", "squash")
        more = ("--runtime", "torch") if verb == "batch" and "--runtime" not in options else ()
        return camcli(verb, *what, *fixed, *more, *options)

    return run


def rows(path="run"):
    with Path(path, "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def info(path="run"):
    return json.loads(Path(path, "run.json").read_text("utf-8"))


def by_hand(name, paths):
    """What the network itself says of pictures, (N, C)."""
    import nets_of_outputs

    look = Preprocess(size=32, fit="squash")
    images = [look.tensor(np.asarray(Image.open(Path("pics", path)))) for path in paths]
    with torch.no_grad():
        return getattr(nets_of_outputs, name)().eval()(torch.cat(images)).numpy()


def write_labels(truth, paths, *, columns=False):
    lines = [",".join(("path", *NAMES)) if columns else "path,label"]
    for path, row in zip(paths, truth, strict=True):
        cells = [str(int(one)) for one in row]
        names = "|".join(name for name, one in zip(NAMES, row, strict=True) if one)
        lines.append(",".join([path, *(cells if columns else [names])]))
    Path("truth.csv").write_text("\n".join(lines) + "\n")


PATHS = [f"{'ab'[n % 2]}/{n}.png" for n in sorted(range(12), key=lambda n: ("ab"[n % 2], str(n)))]


def drawn_truth(probs):
    """Labels that are mostly what the network says: some pictures have none, one all of them."""
    truth = probs > 0.5
    draw = np.random.default_rng(2)
    wrong = draw.random(truth.shape) < 0.15
    truth = truth ^ wrong
    truth[3] = False
    return truth


@pytest.mark.parametrize("columns", [False, True], ids=["in a cell", "a column each"])
def test_labels_are_judged_as_scikit_learn_does(own, columns):
    metrics = pytest.importorskip("sklearn.metrics")
    own("explain", "labels")  # so that the module is known
    probs = by_hand("labels", PATHS)
    truth, said = drawn_truth(probs), probs > 0.5
    write_labels(truth, PATHS, columns=columns)
    done = own(
        "batch", "labels", "--labels", "truth.csv", "--out", "run", "--only", "wrong",
        "--format", "jsonl", "--contact-sheet", "2x2",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    table = rows()
    assert [row["path"] for row in table] == PATHS
    for n, row in enumerate(table):
        expected = [name for name, one in zip(NAMES, truth[n], strict=True) if one]
        assert row["labels"] == row["label"] == "|".join(expected)
        order = sorted(np.flatnonzero(said[n]), key=lambda c: -probs[n, c])
        assert row["positives"] == "|".join(NAMES[c] for c in order)
        listed = [float(one) for one in row["positives_prob"].split("|") if one]
        assert listed == pytest.approx([probs[n, c] for c in order], rel=1e-3)
        assert [float(row[f"prob_{name}"]) for name in NAMES] == pytest.approx(probs[n], rel=1e-3)
        assert row["pred"] == NAMES[probs[n].argmax()]
        assert row["correct"] == str(int((truth[n] == said[n]).all()))
        assert bool(row["overlay"]) == (row["correct"] == "0")
    found = info()["label_metrics"]
    wanted = {
        "map_macro": metrics.average_precision_score(truth, probs, average="macro"),
        "map_micro": metrics.average_precision_score(truth, probs, average="micro"),
        "f1_macro": metrics.f1_score(truth, said, average="macro"),
        "f1_micro": metrics.f1_score(truth, said, average="micro"),
        "exact_match": metrics.accuracy_score(truth, said),
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=1e-5), name
    assert 0.3 < wanted["exact_match"] < 1, "some are right"
    words = " ".join(done.stderr.split())
    assert f"mAP {wanted['map_macro']:.4f} (macro), {wanted['map_micro']:.4f} (micro)" in words
    assert f"F1 {wanted['f1_macro']:.4f} (macro), {wanted['f1_micro']:.4f} (micro)" in words
    lines = [json.loads(line) for line in Path("run/predictions.jsonl").read_text().splitlines()]
    assert [line["prob_mass"] for line in lines] == pytest.approx(probs[:, 1], rel=1e-3)
    assert Path("run/contact_sheet.jpg").exists()


def test_shards_of_labels_are_merged_and_judged_together(own, camcli):
    own("explain", "labels")
    write_labels(drawn_truth(by_hand("labels", PATHS)), PATHS)
    options = ("--labels", "truth.csv", "--no-overlays")
    assert own("batch", "labels", *options, "--out", "whole").exit_code == 0
    for n in (1, 2, 3):
        assert own("batch", "labels", *options, "--shard", f"{n}/3", "--out", "run").exit_code == 0
    done = camcli("merge", "run")
    assert done.exit_code == 0, done.output
    assert rows("run") == rows("whole")
    assert info("run")["label_metrics"] == info("whole")["label_metrics"]
    assert "mAP" in done.stderr


def test_thresholds_of_labels(own):
    own("explain", "labels")
    probs = by_hand("labels", PATHS)
    limits = [float(np.median(probs[:, c])) + 1e-3 for c in range(4)]
    Path("limits.csv").write_text(
        "class,threshold\n" + "".join(f"{n},{t}\n" for n, t in zip(NAMES, limits, strict=True))
    )
    done = own("batch", "labels", "--threshold", "limits.csv", "--out", "run", "--no-overlays")
    assert done.exit_code == 0, done.output
    for row, p in zip(rows(), probs, strict=True):
        above = {name for name, one, t in zip(NAMES, p, limits, strict=True) if one > t}
        assert set(filter(None, row["positives"].split("|"))) == above
    assert info()["config"]["thresholds"] == pytest.approx(limits)
    again = ("--out", "run", "--no-overlays", "--resume")
    refused = own("batch", "labels", "--threshold", "0.7", *again)
    assert refused.exit_code == 2
    assert "thresholds" in refused.stderr
    assert own("batch", "labels", *again).exit_code == 2
    assert own("batch", "labels", "--threshold", "limits.csv", *again).exit_code == 0
    missing = Path("few.csv")
    missing.write_text("class,threshold\nmass,0.9\n")
    done = own("explain", "labels", "--threshold", missing, "--json", "--out", "few.jpg")
    assert "0.5 is taken" in " ".join(done.stderr.split())
    # At a threshold that nothing reaches there is no label, and the best is explained.
    done = own("explain", "labels", "--threshold", "0.999999", "--out", "none.jpg")
    assert "no label" in done.stdout
    record = json.loads(
        own("explain", "labels", "--threshold", "0.999999", "--json", "--out", "none2.jpg").stdout
    )
    assert record["positives"] == []
    assert record["heats"][0]["target"] == record["top"][0]["class"]


def test_one_logit_is_the_second_class_from_its_threshold_on(own):
    own("explain", "logit")
    p = 1 / (1 + np.exp(-by_hand("logit", PATHS)[:, 0]))
    limit = float(np.sort(p)[8]) - 1e-4  # four of twelve
    done = own("batch", "logit", "--threshold", limit, "--out", "run", "--no-overlays")
    assert done.exit_code == 0, done.output
    for row, one in zip(rows(), p, strict=True):
        assert row["pred"] == str(int(one >= limit))
        assert float(row["prob"]) == pytest.approx(one if one >= limit else 1 - one, rel=1e-3)
    assert sum(row["pred"] == "1" for row in rows()) == 4
    assert info()["config"]["thresholds"] == pytest.approx(limit)


@pytest.mark.parametrize("options", [("--output", "none"), ()], ids=["said", "found out"])
def test_a_value_is_a_number_and_no_class(own, camcli, options):
    own("explain", "age")
    truth = by_hand("age", PATHS)[:, 0]
    done = own("batch", "age", *options, "--out", "run", "--contact-sheet", "2x2")
    assert done.exit_code == 0, done.output
    words = " ".join(done.stderr.split())
    assert ("far beyond any logit" in words and "--output binary" in words) == (not options)
    (ends,) = re.findall(r"value: (\S+) to (\S+), (\S+) on average", words)
    wanted = [truth.min(), truth.max(), truth.mean()]
    assert list(map(float, ends)) == pytest.approx(wanted, rel=1e-3)
    assert "accuracy" not in words
    assert [float(row["value"]) for row in rows()] == pytest.approx(truth, rel=1e-4)
    for row in rows():
        assert (row["pred"], row["prob"], row["correct"], row["target"]) == ("", "", "", "value")
        assert "top2" not in row
    assert info()["config"]["output"] == "none"
    assert camcli("report", "run").exit_code == 0
    assert own("batch", "age", *options, "--out", "run", "--resume").exit_code == 0
    record = json.loads(own("explain", "age", *options, "--json", "--out", "x.jpg").stdout)
    assert record["value"] == pytest.approx(float(by_hand("age", ["a/0.png"])[0, 0]), rel=1e-4)
    assert (record["pred"], record["prob"], record["output"]) == (None, None, "none")
    shown = own("explain", "age", *options, "--out", "y.jpg").stdout
    assert "%" not in shown
    assert f"{record['value']:.4g}" in shown


def test_the_map_of_a_value_is_what_raises_it(own):
    """Grad-CAM of GAP + linear: the weights of the output, times the features, over the cells."""
    import nets_of_outputs

    own("explain", "age", "--output", "none", "--save-raw", "--out", "age.jpg")
    raw = np.load("age.npz")
    net = nets_of_outputs.age().eval().net
    look = Preprocess(size=32, fit="squash")
    with torch.no_grad():
        A = net[:4](look.tensor(np.asarray(Image.open("pics/a/0.png"))))[0]
        truth = (net[-1].weight[0][:, None, None] * A).sum(0) / A[0].numel()
    np.testing.assert_allclose(raw["heatmaps"][0], truth.numpy(), rtol=1e-3, atol=1e-4)
    assert raw["values"] == pytest.approx(by_hand("age", ["a/0.png"])[0], rel=1e-4)
    assert "probs" not in raw


def test_several_values_have_a_column_each(own):
    own("explain", "two")
    truth = by_hand("two", PATHS)
    done = own("batch", "two", "--output", "none", "--target", "height", "--out", "run")
    assert done.exit_code == 0, done.output
    for row, (age, height) in zip(rows(), truth, strict=True):
        assert float(row["value_age"]) == pytest.approx(age, rel=1e-4)
        assert float(row["value"]) == float(row["value_height"]) == pytest.approx(height, rel=1e-4)
        assert row["target"] == "height"
    record = json.loads(
        own("explain", "two", "--output", "none", "--topk", 2, "--json", "--out", "x.jpg").stdout
    )
    assert [heat["target"] for heat in record["heats"]] == ["age", "height"]
    assert [one["value"] for one in record["values"]] == pytest.approx(
        by_hand("two", ["a/0.png"])[0].tolist(), rel=1e-4
    )


@pytest.mark.parametrize(
    ("verb", "name", "options", "said"),
    [
        ("explain", "age", ("--output", "none", "--score", "probability"), "no probability"),
        ("explain", "age", ("--output", "none", "--score", "contrast"), "nothing beside it"),
        ("explain", "age", ("--output", "none", "--method", "finercam"), "nothing beside it"),
        ("explain", "age", ("--output", "none", "--threshold", "0.3"), "outputs are values"),
        ("batch", "age", ("--output", "none", "--only", "below 0.5"), "outputs are values"),
        ("explain", "raw", ("--threshold", "0.3"), "the best of 4 is predicted"),
        ("explain", "labels", ("--threshold", "1.3"), "between 0 and 1"),
        ("explain", "labels", ("--threshold", "none.csv"), "cannot be read"),
        ("batch", "labels", ("--labels", "none.csv"), "cannot be read"),
    ],
)
def test_what_means_nothing_together_is_refused(own, verb, name, options, said):
    done = own(verb, name, *options)
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.stderr.split())


def test_what_the_first_pictures_show(own):
    """Where neither the graph nor the user says what the numbers are."""
    done = own("batch", "hidden", "--no-overlays", "--out", "hidden")
    assert "taken for probabilities of labels" in " ".join(done.stderr.split())
    assert info("hidden")["config"]["output"] == "probabilities"
    for row, p in zip(rows("hidden"), by_hand("hidden", PATHS), strict=True):
        assert [float(row[f"prob_{name}"]) for name in NAMES] == pytest.approx(p, rel=1e-3)
        assert set(filter(None, row["positives"].split("|"))) == {
            name for name, one in zip(NAMES, p, strict=True) if one > 0.5
        }
    for name, option in (("low", "sigmoid"), ("two", "none"), ("classes", None), ("logit", None)):
        done = own("batch", name, "--no-overlays", "--out", name)
        words = " ".join(done.stderr.split())
        said = re.search(r"of the first 8 images .* say --output (\w+) if", words)
        assert (said and said[1]) == option
        assert info(name)["config"].get("output", "softmax") == (
            "binary" if name == "logit" else "softmax"
        )


def test_pictures_with_several_labels_make_a_network_one_of_labels(own):
    own("explain", "raw")
    z = by_hand("raw", PATHS)
    p = 1 / (1 + np.exp(-z))
    truth = np.zeros((12, 4), bool)
    truth[:, :2] = True
    write_labels(truth, PATHS)
    done = own("batch", "raw", "--labels", "truth.csv", "--out", "run", "--no-overlays")
    assert "taken for logits of labels" in " ".join(done.stderr.split())
    assert [float(row["prob_nodule"]) for row in rows()] == pytest.approx(p[:, 2], rel=1e-3)


def test_names_of_overlays_say_what_was_found(own):
    own("explain", "labels")
    probs = by_hand("labels", PATHS)
    done = own("batch", "labels", "--out", "run", "--name-template", "{stem}_{pred}_{prob}")
    assert done.exit_code == 0, done.output
    for row, p in zip(rows(), probs, strict=True):
        order = [NAMES[c] for c in np.argsort(-p) if p[c] > 0.5]
        stem = Path(row["path"]).stem
        assert row["overlay"] == f"overlays/{stem}_{'+'.join(order) or 'none'}_{p.max():.3f}.jpg"


@pytest.mark.slow
def test_processes_take_what_the_first_found_out(own):
    done = own("batch", "age", "--out", "run", "--no-overlays", "--processes", 2)
    assert done.exit_code == 0, done.output
    own("explain", "age")
    truth = by_hand("age", PATHS)[:, 0]
    assert [float(row["value"]) for row in rows()] == pytest.approx(truth, rel=1e-4)


def test_images_that_a_table_does_not_name_are_told(own):
    own("explain", "labels")
    write_labels(np.ones((9, 4), bool), PATHS[:9])
    done = own("batch", "labels", "--labels", "truth.csv", "--out", "run", "--no-overlays")
    words = " ".join(done.stderr.split())
    assert "3 images without a row in truth.csv" in words
    assert info()["label_metrics"]["images"] == 9
    assert [row["correct"] == "" for row in rows()] == [False] * 9 + [True] * 3
    Path("truth.csv").write_text("path,label\nelsewhere.png,mass\n")
    done = own("batch", "labels", "--labels", "truth.csv", "--out", "none", "--no-overlays")
    words = " ".join(done.stderr.split())
    assert "None of the images is in truth.csv" in words
    assert "'elsewhere.png'" in words
    Path("truth.csv").write_text("path,label\n0.png,mass|effusion\n")
    done = own("batch", "labels", "--labels", "truth.csv", "--out", "odd", "--no-overlays")
    assert "name no class of this network: 'effusion'" in " ".join(done.stderr.split())
    assert {row["path"]: row["labels"] for row in rows("odd")}["a/0.png"] == "mass"


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        (("--target", "mass"), lambda w, p: w[1]),
        (("--target", "mass", "--versus", "edema"), lambda w, p: w[1] - w[0]),
        (("--target", "2", "--score", "probability"), lambda w, p: p[2] * (1 - p[2]) * w[2]),
        (("--target", "mass", "--score", "contrast"), lambda w, p: w[1] - w.mean(0)),
    ],
    ids=lambda each: "" if callable(each) else " ".join(each),
)
def test_maps_of_labels_by_hand(own, options, weights):
    """With GAP + linear the map is the score's weights times the features, over the cells."""
    done = own("explain", "labels", *options, "--save-raw", "--out", "map.jpg")
    assert done.exit_code == 0, done.output
    import nets_of_outputs

    net = nets_of_outputs.labels().eval().net
    p = torch.tensor(by_hand("labels", ["a/0.png"])[0])
    look = Preprocess(size=32, fit="squash")
    with torch.no_grad():
        A = net[:4](look.tensor(np.asarray(Image.open("pics/a/0.png"))))[0]
        w = weights(net[-1].weight, p)
        truth = (w[:, None, None] * A).sum(0) / A[0].numel()
    got = np.load("map.npz")["heatmaps"][0]
    np.testing.assert_allclose(got, truth.numpy(), rtol=2e-2, atol=1e-3 * np.abs(got).max())


def test_finercam_compares_a_label_with_the_nearest_others(own):
    done = own(
        "explain", "labels", "--target", "mass", "--method", "finercam", "--save-raw", "--out",
        "map.jpg",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert np.isfinite(np.load("map.npz")["heatmaps"]).all()


def test_only_a_class_means_what_is_predicted_or_true(own):
    own("explain", "labels")
    probs = by_hand("labels", PATHS)
    said = probs > 0.5
    c = int(np.abs(said.mean(0) - 0.5).argmin())
    truth = np.zeros((12, 4), bool)
    truth[np.flatnonzero(~said[:, c])[0], c] = True
    write_labels(truth, PATHS)
    own("batch", "labels", "--labels", "truth.csv", "--out", "run", "--only", f"class {NAMES[c]}")
    assert [bool(row["overlay"]) for row in rows()] == (said | truth)[:, c].tolist()
    assert 1 < (said | truth)[:, c].sum() < 12


def test_the_same_by_functions(own):
    import nets_of_outputs

    import camcli

    own("explain", "labels")
    probs = by_hand("labels", PATHS)
    truth = drawn_truth(probs)
    write_labels(truth, PATHS)
    look = Preprocess(size=32, fit="squash")
    classifier = camcli.load_classifier(
        nets_of_outputs.labels(), classes=NAMES, preprocess=look, threshold=0.3
    )
    found = list(camcli.batch("pics", classifier=classifier, labels="truth.csv"))
    for result, p, true in zip(found, probs, truth, strict=True):
        assert result.numbers == pytest.approx(p.tolist(), rel=1e-3)
        assert set(result.positives) == {
            (name, prob) for name, prob in zip(NAMES, result.numbers, strict=True) if prob > 0.3
        }
        assert set(result.labels) == {name for name, one in zip(NAMES, true, strict=True) if one}
        assert result.correct == bool(((p > 0.3) == true).all())
    classifier = camcli.load_classifier(
        nets_of_outputs.two(), classes=("age", "height"), preprocess=look, output="none"
    )
    result = camcli.explain("pics/a/0.png", classifier, target="height")
    age, height = by_hand("two", ["a/0.png"])[0].tolist()
    assert (result.pred, result.prob, result.top) == (None, None, ())
    assert result.numbers == pytest.approx((age, height), rel=1e-4)
    assert result.value == result.heats[0].value == pytest.approx(height, rel=1e-4)


@pytest.mark.parametrize("name", ["labels", "age", "logit"])
def test_openvino_says_the_same(own, name):
    for runtime in ("torch", "openvino"):
        done = own("batch", name, "--runtime", runtime, "--out", runtime, "--no-overlays")
        assert done.exit_code == 0, done.output
    for one, other in zip(rows("torch"), rows("openvino"), strict=True):
        for column in ("prob", "value", "prob_mass"):
            if one.get(column):
                assert float(one[column]) == pytest.approx(float(other[column]), rel=1e-3)
        assert one["pred"] == other["pred"]
        assert one.get("positives") == other.get("positives")


def test_a_logit_that_is_far_on_both_sides_is_a_logit(own):
    done = own("batch", "sure", "--out", "run", "--no-overlays")
    z = by_hand("sure", PATHS)[:, 0]
    assert np.median(np.abs(z)) > 16 > 0 > z.min(), "sure, of either class"
    assert info()["config"]["output"] == "binary"
    assert "taken for a value" not in " ".join(done.stderr.split())
    assert [row["pred"] for row in rows()] == [str(int(one > 0)) for one in z]


@pytest.mark.parametrize("names", [None, "ham spam"], ids=["no names", "two names"])
def test_one_output_that_stays_between_0_and_1_is_a_probability(own, names):
    """Of a network whose sigmoid cannot be seen in its graph: not squashed once more."""
    more: tuple[str, ...] = ()
    if names:
        Path("names.txt").write_text("\n".join(names.split()))
        more = ("--classes", "names.txt")
    done = own("batch", "share", "--out", "run", "--overwrite", "--no-overlays", *more)
    assert done.exit_code == 0, done.output
    assert "as a probability is" in " ".join(done.stderr.split())
    second = names.split()[1] if names else "1"
    for row, p in zip(rows(), by_hand("share", PATHS)[:, 0], strict=True):
        prob = p if row["pred"] == second else 1 - p
        assert float(row["prob"]) == pytest.approx(max(p, 1 - p), abs=1e-4)
        assert prob >= 0.5
    done = own(
        "batch", "share", "--out", "run", "--overwrite", "--no-overlays", "--output", "binary"
    )
    assert done.exit_code == 0
    assert "as a probability is" not in done.stderr, "who says what it is knows it"
    done = own("batch", "half", "--out", "half", "--no-overlays")
    assert "is the probability of the second class already" in " ".join(done.stderr.split())
