import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def cat(tmp_path, photos):
    Image.fromarray(photos[0]).save(tmp_path / "cat.png")
    return "cat.png"


def test_one_picture(camcli, cat):
    done = camcli("explain", cat)
    assert done.exit_code == 0, done.output
    assert "cat" in done.stdout
    assert "%" in done.stdout
    assert Image.open("cat_gradcam.jpg").width == 451
    again = camcli("explain", cat)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert camcli("explain", cat, "--overwrite").exit_code == 0


def test_json_is_one_object_a_line(camcli, cat):
    done = camcli("explain", cat, "--json", "--target", "tabby", "--out", "x")
    record = json.loads(done.stdout)
    assert record["heats"][0]["target"] == "tabby"
    assert 0 < record["prob"] <= 1
    assert [Path(f).is_file() for f in record["files"]] == [True]
    assert record["top"][0]["class"] == record["pred"]


def test_a_map_of_some_channels_says_so(camcli, cat):
    options = ("--method", "scorecam", "--channels", "3")
    done = camcli("explain", cat, *options, "--out", "a.jpg")
    assert done.exit_code == 0, done.output
    assert "approximated by --channels 3" in " ".join(done.stdout.split())
    done = camcli("explain", cat, *options, "--json", "--out", "b.jpg")
    assert json.loads(done.stdout)["options"] == {"channels": 3}


def test_raw_maps_are_signed_and_complete(camcli, cat, bundled):
    """mean(M_c) + b_c = S_c holds for what --save-raw wrote, and p_c follows from it."""
    done = camcli("explain", cat, "--method", "cam", "--topk", "5", "--save-raw", "--out", "o.png")
    assert done.exit_code == 0, done.output
    raw = np.load("o.npz", allow_pickle=False)
    assert raw["heatmaps"].shape == (5, 7, 7)
    assert (raw["heatmaps"] < 0).any()
    scores = raw["heatmaps"].mean((1, 2)) + bundled.head.bias.numpy()[raw["targets"]]
    gaps = np.log(raw["probs"]) - np.log(raw["probs"][0])
    assert np.allclose(scores - scores[0], gaps, atol=1e-3)
    assert Image.open("o.png").format == "PNG"


def test_topk_one_row_or_one_file_each(camcli, cat):
    assert camcli("explain", cat, "--topk", "2", "--out", "row.jpg").exit_code == 0
    assert Image.open("row.jpg").width >= 2 * 451
    done = camcli("explain", cat, "--topk", "2", "--topk-files", "--out", "each")
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in Path("each").iterdir()) == [
        "cat_gradcam_1.jpg", "cat_gradcam_2.jpg",
    ]  # fmt: skip


def test_a_glob_with_one_bad_picture(camcli, cat):
    Path("bad.png").write_bytes(b"nothing")
    done = camcli("explain", "*.png", "--out", "o")
    assert done.exit_code == 3
    assert "bad.png" in done.stderr
    assert [p.name for p in Path("o").iterdir()] == ["cat_gradcam.jpg"]


def test_same_names_of_different_folders_do_not_collide(camcli, cat):
    for folder in "ab":
        Path(folder).mkdir()
        Path(folder, "x.png").write_bytes(Path(cat).read_bytes())
    Path("a/x.jpg").write_bytes(Path(cat).read_bytes())
    done = camcli("explain", "a/x.png", "b/x.png", "a/x.jpg", "--out", "o")
    assert done.exit_code == 0, done.output
    assert len(list(Path("o").rglob("*.jpg"))) == 3


@pytest.mark.slow
def test_every_method_draws(camcli, cat):
    from camcli.cam.methods import METHODS

    for method in ("cam", "gradcam", "gradcam++", "layercam", "ablationcam", "eigencam"):
        assert method in METHODS
        done = camcli("explain", cat, "--method", method, "--out", f"{method}.jpg")
        assert done.exit_code == 0, done.output


def test_several_pictures_do_not_fit_into_one_file(camcli, cat):
    Path("dog.png").write_bytes(Path(cat).read_bytes())
    done = camcli("explain", cat, "dog.png", "--out", "x.jpg")
    assert done.exit_code == 2
    assert "folder" in done.stderr


@pytest.mark.parametrize("options", [["--score", "probability"], ["--score", "contrast"]])
def test_scores(camcli, cat, options):
    done = camcli("explain", cat, *options, "--json", "--out", "o.jpg")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["heats"][0]["empty"] is False


def test_signed_says_where_it_makes_no_sense(camcli, cat):
    assert camcli("explain", cat, "--signed", "--out", "s.png").exit_code == 0
    assert camcli("explain", cat, "--out", "p.png").exit_code == 0
    assert Image.open("s.png").height > Image.open("p.png").height, "a legend"
    for options, said in (
        (["--method", "layercam"], "gradcam, hirescam"),
        (["--layer", "blocks.5,last"], "one layer"),
        (["--colormap", "turbo"], "leave --colormap out"),
    ):
        done = camcli("explain", cat, "--signed", *options)
        assert done.exit_code == 2
        assert said in " ".join(done.stderr.split())


def test_where_the_maps_of_ones_own_network_come_from(camcli, cat, monkeypatch):
    """What was found, and how to choose otherwise; nothing where the user chose, or of networks
    with a name.
    """
    Path("my_net_found.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 9, 8), nn.ReLU(), nn.Conv2d(4, 4, 3),\n"
        "        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))\n"
    )
    monkeypatch.syspath_prepend(Path.cwd())
    Path("names.txt").write_text("a\nb\n")
    own = ("explain", cat, "--model", "my_net_found:build", "--classes", "names.txt")
    done = camcli(*own, "--out", "a.jpg")
    assert done.exit_code == 0, done.output
    said = " ".join(done.stderr.split())
    assert "maps are those of '3', the last ones before the logits of my_net_found:build" in said
    assert "--layer takes others" in said
    assert "'camcli layers my_net_found:build' lists them" in said
    assert "--layer" not in camcli(*own, "--layer", "1", "--out", "b.jpg").stderr
    assert "--layer" not in camcli("explain", cat, "--out", "c.jpg").stderr
    assert "last ones" not in camcli(*own, "--method", "fullgrad", "--out", "d.jpg").stderr
    assert "last ones" in camcli("batch", *own[1:], "--out", "run").stderr
    assert "last ones" not in camcli("batch", *own[1:], "--out", "run2", "--quiet").stderr


def test_a_map_of_no_class_is_not_said_to_be_of_one(camcli, cat):
    """Whatever is asked for, the map is one; its picture names no class that it explains."""
    done = camcli("explain", cat, "--method", "eigencam", "--topk", "3", "--out", "a.png")
    said = " ".join(done.stdout.split())
    assert said.count("Heat, whatever the class: x ") == 1, said
    assert ": heat in" not in said
    assert "--topk changes no map here: eigencam looks at no class" in " ".join(done.stderr.split())
    done = camcli("explain", cat, "--method", "fem", "--target", "tabby", "--out", "b.png")
    assert "--target changes no map here" in " ".join(done.stderr.split())
    camcli("explain", cat, "--method", "fem", "--out", "c.png")
    one, other = (np.asarray(Image.open(name)) for name in ("b.png", "c.png"))
    assert np.array_equal(one, other), "the strip said that it explains tabby"
    done = camcli("explain", cat, "--method", "cam,eigencam", "--target", "tabby", "--out", "d.png")
    assert "changes no map" not in done.stderr
    said = " ".join(done.stdout.split())
    assert "Where the heat of tabby is" in said
    assert said.count("looks at no class") == 1
    done = camcli("explain", cat, "--method", "fem,eigencam", "--topk", "2", "--out", "e.png")
    assert done.stdout.count("Where the heat is,") == 1
    assert "these methods look at no class" in " ".join(done.stderr.split())


def test_the_class_compared_with_is_named(camcli, cat):
    options = ("--target", "tabby", "--versus", "golden retriever")
    done = camcli("explain", cat, *options, "--out", "a.png")
    assert "tabby versus golden retriever: heat in" in " ".join(done.stdout.split()), done.output
    camcli("explain", cat, "--target", "tabby", "--out", "b.png")
    named, plain = (np.asarray(Image.open(name))[300:] for name in ("a.png", "b.png"))
    assert named.shape == plain.shape
    assert (named < 128).sum() > (plain < 128).sum(), "not in the strip below the picture"


@pytest.mark.parametrize("option", ["--target", "--versus"])
@pytest.mark.parametrize(("name", "near"), [("cat", "tabby"), ("dog", "Maltese dog")])
def test_classes_are_not_guessed_and_no_network_is_asked(
    camcli, cat, monkeypatch, option, name, near
):
    monkeypatch.setattr("camcli.cli.load_model.load", None)
    for command in ("explain", "batch"):
        done = camcli(command, cat, option, name)
        assert done.exit_code == 2, done.output
        assert near in " ".join(done.stderr.split())
        assert "catamaran" not in done.output
    assert [p.name for p in Path().iterdir()] == [cat]


def test_namesakes_are_told_and_an_unlikely_target_has_its_probability(camcli, cat, bundled):
    done = camcli("explain", cat, "--target", "crane")
    assert done.exit_code == 0, done.output
    assert "'crane bird' (134)" in " ".join(done.stderr.split())
    done = camcli("explain", cat, "--target", "crane", "--json", "--out", "x.jpg")
    record = json.loads(done.stdout)
    heat = record["heats"][0]
    assert "crane" not in {one["class"] for one in record["top"]}
    pixels = bundled.preprocess.pixels(np.asarray(Image.open(cat).convert("RGB")))
    truth = float(bundled(pixels[None])[1].softmax(1)[0, 517])
    assert heat["prob"] == pytest.approx(truth, rel=1e-3)
    done = camcli("explain", cat, "--target", "crane", "--out", "y.jpg")
    assert truth < 0.0005  # and is not told to be nothing
    assert "crane (<0.1%)" in " ".join(done.stdout.split())


def test_a_picture_that_cannot_be_drawn_is_an_error_of_its_own(
    camcli, photos, tmp_path, monkeypatch
):
    from camcli.render.style import Style

    draw = Style.draw

    def fails(self, rgb, result):
        if result.ref.rel.startswith("b"):
            raise ValueError("too wide\nfor us")
        return draw(self, rgb, result)

    monkeypatch.setattr(Style, "draw", fails)
    for name in "abcd":
        Image.fromarray(photos[0][:100, :100]).save(tmp_path / f"{name}.png")
    (tmp_path / "out" / "c_gradcam.jpg" / "full").mkdir(parents=True)  # in the place of a picture
    result = camcli(
        "explain", *(f"{n}.png" for n in "abcd"), "--out", "out", "--json", "--overwrite"
    )
    assert result.exit_code == 3, result.stderr
    records = {Path(r["path"]).name: r for r in map(json.loads, result.stdout.splitlines())}
    assert [records[f"{n}.png"]["status"] == "error" for n in "abcd"] == [False, True, True, False]
    assert records["b.png"]["error"].startswith("draw: ")
    assert records["b.png"]["error"].endswith("b.png: ValueError: too wide.")
    assert records["c.png"]["error"].startswith("write: Cannot write")
    assert records["d.png"]["files"] == ["out/d_gradcam.jpg"]


NETS = """
import torch
from torch import nn

def net(channels, outputs, *end):
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(channels, 8, 3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(8, outputs), *end)

def one(): return net(3, 1)
def softmax(): return net(3, 2, nn.Softmax(1))
def labels():
    made = net(3, 4, nn.Sigmoid())
    made[4].bias.data = torch.tensor([3.0, -3.0, 2.0, -2.0])
    made.classes = ["edema", "mass", "nodule", "pneumonia"]
    return made
def grey(): return net(1, 3)
def logits(): return net(3, 3)
"""


def own_words(camcli, tmp_path, monkeypatch, name, *options):
    """The record and what was told, of a network in a module of one's own."""
    (tmp_path / "nets_of_kinds.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = ("--model", f"nets_of_kinds:{name}", "--input-size", "32")
    done = camcli("explain", "cat.png", *own, "--json", "--out", f"{name}.jpg", *options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), " ".join(done.stderr.split())


def by_hand(name, cat):
    """What the network itself says of the picture, with ImageNet's preprocessing."""
    import nets_of_kinds

    from camcli.data.decode.preprocess import Preprocess

    rgb = np.asarray(Image.open(cat).convert("RGB"))
    with torch.no_grad():
        return getattr(nets_of_kinds, name)().eval()(Preprocess(size=32).tensor(rgb))[0].tolist()


def test_what_a_network_returns_is_recognised_and_told(camcli, cat, tmp_path, monkeypatch):
    record, said = own_words(camcli, tmp_path, monkeypatch, "one")
    (z,) = by_hand("one", cat)
    p = 1 / (1 + np.exp(-z))
    assert "one output" in said
    assert record["output"] == "binary"
    found = {one["class"]: one["prob"] for one in record["top"]}
    assert found == pytest.approx({"0": 1 - p, "1": p}, abs=1e-4)
    Path("names.txt").write_text("healthy\nill\n")
    named, said = own_words(
        camcli, tmp_path, monkeypatch, "one", "--classes", "names.txt", "--output", "binary",
        "--overwrite",
    )  # fmt: skip
    assert "one output" not in said
    assert {one["class"] for one in named["top"]} == {"healthy", "ill"}

    record, said = own_words(camcli, tmp_path, monkeypatch, "softmax")
    assert "ends in a softmax" in said
    found = {one["class"]: one["prob"] for one in record["top"]}
    truth = dict(zip("01", by_hand("softmax", cat), strict=True))
    assert found == pytest.approx(truth, abs=1e-4)

    record, said = own_words(camcli, tmp_path, monkeypatch, "labels")
    names = ("edema", "mass", "nodule", "pneumonia")
    truth = dict(zip(names, by_hand("labels", cat), strict=True))
    assert {one["class"]: one["prob"] for one in record["top"]} == pytest.approx(truth, abs=1e-4)
    assert {one["class"] for one in record["positives"]} == {"edema", "nodule"}
    assert "a probability of its own" in said

    _, said = own_words(camcli, tmp_path, monkeypatch, "grey")
    assert "luminance" in said
    record, said = own_words(camcli, tmp_path, monkeypatch, "logits")
    assert "output" not in record
    assert "positives" not in record
    assert "probabilit" not in said


def test_a_run_records_what_the_network_returns(camcli, cat, tmp_path, monkeypatch):
    own_words(camcli, tmp_path, monkeypatch, "labels")
    for name, kind in (("labels", "sigmoid"), ("logits", None)):
        own = ("--model", f"nets_of_kinds:{name}", "--input-size", "32", "--out", f"run-{name}")
        done = camcli("batch", cat, *own, "--runtime", "torch")
        assert done.exit_code == 0, done.output
        assert json.loads(Path(f"run-{name}/run.json").read_text())["config"].get("output") == kind
    # Other probabilities are another run.
    done = camcli("batch", cat, *own, "--resume", "--output", "sigmoid")
    assert done.exit_code == 2
    assert "output" in done.stderr


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (("gradcam", "last", None, None), "gradcam"),
        (("gradcam", "layer3", "lynx", "tabby"), "gradcam_layer3_lynx-vs-tabby"),
        (("layercam", "a.0,b", "golden retriever", None), "layercam_a.0+b_golden-retriever"),
        (("gradcam", "last", None, "285"), "gradcam_vs-285"),
        (("gradcam", "last", "../x/\n*?", None), "gradcam_x"),
        (("gradcam", "last", "猫", None), "gradcam_猫"),
    ],
)
def test_a_pictures_name_says_what_was_asked(asked, name):
    from camcli.jobs.output_paths import name_of_asked

    assert name_of_asked(*asked) == name


def test_names_of_pictures_are_as_long_as_disks_take(tmp_path):
    from camcli.jobs.output_paths import picture_files

    rels = ["a/" + "ü" * 120 + ".jpg", "a/" + "ü" * 120 + ".png", "b" * 250 + "\udce9.jpg"]
    files = picture_files(rels, tmp_path, "gradcam_" + "x" * 200)
    assert len(set(files)) == 3
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.with_stem(file.stem + "_10000").touch()


def test_a_second_question_is_not_refused(camcli, cat):
    assert camcli("explain", cat).exit_code == 0
    assert camcli("explain", cat).exit_code == 2
    done = camcli("explain", cat, "--target", "tabby", "--versus", "lynx")
    assert done.exit_code == 0, done.output
    assert Path("cat_gradcam_tabby-vs-lynx.jpg").is_file()
    assert Path("cat_gradcam.jpg").is_file()


def test_probabilities_are_there_on_a_narrow_terminal(camcli, cat, monkeypatch):
    for columns in (20, 40, 80):
        monkeypatch.setenv("COLUMNS", str(columns))
        done = camcli("explain", cat, "--overwrite")
        assert done.exit_code == 0, done.output
        lines = done.stdout.splitlines()
        assert sum("%" in line for line in lines) == 5
        assert max(map(len, lines)) <= columns


SECOND = [
    ("--topk", "3"),
    ("--score", "contrast"),
    ("--fit", "whole"),
    ("--panel",),
    ("--target", "tiger cat", "--score", "contrast"),
    ("--input-size", "256"),
    ("--signed", "--method", "cam"),
    ("--smooth", "eigen"),
    ("--colormap", "magma"),
    ("--native-predictions", "--input-size", "288"),
]


def test_each_further_question_gets_a_picture_of_its_own(camcli, cat, monkeypatch):
    """None is refused because an earlier one was asked; asked again, each is."""
    asked = []
    monkeypatch.setattr("camcli.jobs.explain.refuse_existing", lambda file: asked.append(file.name))
    stop = RuntimeError("before the network")

    def load(*_, **__):
        raise stop

    monkeypatch.setattr("camcli.cli.load_model.load", load)
    other = ("--model", "resnet18", "--weights", "random", "--method", "gradcam")
    for options in [(), *SECOND, other]:
        assert camcli("explain", cat, *options).exit_code != 0
    assert len(set(asked)) == len(asked) == len(SECOND) + 2, asked
    assert asked[:3] == ["cat_gradcam.jpg", "cat_gradcam_top3.jpg", "cat_gradcam_contrast.jpg"]
    assert asked[-1] == "cat_gradcam_resnet18_random.jpg"


def test_several_methods_are_one_picture(camcli, cat):
    done = camcli("explain", cat, "--method", "cam,GradCAM,finercam")
    assert done.exit_code == 0, done.output
    assert "cat_cam_gradcam_finercam.jpg" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows if row and row[0] in ("cam", "gradcam", "finercam")]
    assert ["same", "as", "cam"] in [row[-3:] for row in rows if row[:1] == ["gradcam"]]
    width, height = Image.open("cat_cam_gradcam_finercam.jpg").size
    assert width > 3 * 451  # the photograph, and three of its size
    assert height < 2 * 300
    alone = camcli("explain", cat, "--method", "finercam", "--json", "--out", "alone.png")
    done = camcli("explain", cat, "--method", "cam,finercam", "--json", "--out", "both.png",
                  "--save-raw")  # fmt: skip
    record = json.loads(done.stdout)
    assert record["beside"][0]["heats"] == json.loads(alone.stdout)["heats"]
    assert 0 < record["beside"][0]["like_first"][0] < 1
    assert record["files"] == ["both.png", "both_cam.npz", "both_finercam.npz"]
    assert not np.array_equal(
        np.load("both_cam.npz")["heatmaps"], np.load("both_finercam.npz")["heatmaps"]
    )


def test_an_option_is_taken_by_those_methods_that_know_it(camcli, cat):
    options = ("--channels", "2", "--versus", "tabby", "--json", "--out", "x.jpg")
    done = camcli("explain", cat, "--method", "eigencam,cam,scorecam", *options)
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    found = [record["options"], *(each["options"] for each in record["beside"])]
    assert [sorted(each) for each in found] == [[], ["versus"], ["channels", "versus"]]


def test_what_was_asked_is_told_where_a_method_was_chosen(camcli, cat):
    done = camcli("explain", cat, "--method", "layercam,auto", "--json", "--out", "x.jpg")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert "asked" not in record
    (beside,) = record["beside"]
    assert (beside["method"], beside["asked"]) == ("gradcam", "auto")
    assert beside["chosen"] in " ".join(done.stderr.split())
    usual = json.loads(camcli("explain", cat, "--json", "--out", "y.jpg").stdout)
    assert (usual["method"], usual["asked"]) == ("gradcam", "auto")
    assert usual["chosen"].startswith("Maps by gradcam, exact where")


def test_a_layer_that_some_methods_do_not_look_at_is_told(camcli, cat):
    done = camcli("explain", cat, "--method", "gradcam,fullgrad", "--layer", "blocks.4", "--json")
    assert done.exit_code == 0, done.output
    said = "--layer blocks.4 is for the other methods: fullgrad looks at all layers."
    assert said in " ".join(done.stderr.split())
    record = json.loads(done.stdout)
    assert [record["layer"], record["beside"][0]["layer"]] == ["blocks.4.2", "all"]
    alone = camcli("explain", cat, "--method", "fullgrad", "--out", "z.jpg")
    assert "(fullgrad at all layers)" in " ".join(alone.stdout.split())
    assert "is for the other methods" not in alone.stderr


@pytest.mark.parametrize(
    ("methods", "more", "said"),
    [
        ("cam,,layercam", (), "a comma too many"),
        ("cam,CAM", (), "names cam twice"),
        ("cam,lyercam", (), "Did you mean 'layercam'"),
        ("cam,layercam", ("--converge", "0.9"), "are for scorecam"),
        ("cam,layercam", ("--signed",), "of which layercam has none"),
        ("eigencam,fem", ("--versus", "tabby"), "looks at no class"),
    ],
)
def test_several_methods_that_cannot_be_meant(camcli, cat, methods, more, said):
    done = camcli("explain", cat, "--method", methods, *more)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


def test_a_run_is_of_one_method(camcli, cat):
    done = camcli("batch", cat, "--method", "cam,layercam")
    assert done.exit_code == 2
    assert "'camcli explain' draws several" in " ".join(done.stderr.split())


def test_the_methods_fit_a_narrow_terminal(camcli, cat, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    done = camcli("explain", cat, "--method", "cam,scorecam", "--channels", "3", "--out", "x.jpg")
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 40
    assert "approximated by --channels 3" in " ".join(done.stdout.split())
