"""``camcli train --boxes``: what is trained on boxes, kept, drawn, and measured fairly."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from camcli.cam.explainer import check_influence, maps_of
from camcli.cam.map_options import make_map_options
from camcli.cam.method_facts import FACTS, TRAINED, find_facts
from camcli.cam.methods import METHODS
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.jobs.evaluate import EvaluateJob
from camcli.jobs.explain import ExplainJob
from camcli.jobs.maps import MapJob
from camcli.jobs.model import ModelJob
from camcli.jobs.train import TrainJob
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import load_checkpoint
from camcli.train.config import TrainConfig
from camcli.train.localizer import look_at
from camcli.train.progress import Listener

HOW = make_map_options(TRAINED.name)


def draw(folder: Path, count: int, seed: int = 0) -> Path:
    """Grey pictures with a coloured square somewhere, and a CSV of where."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(count):
        colour = ("red", "green")[n % 2]
        rgb = rng.integers(100, 156, (96, 96, 3), dtype=np.uint8)
        x, y = (int(v) for v in rng.integers(0, 56, 2))
        rgb[y : y + 40, x : x + 40] = (230, 20, 20) if colour == "red" else (20, 220, 20)
        path = folder / colour / f"{seed}-{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(path)
        rows.append([f"{colour}/{path.name}", x, y, x + 40, y + 40])
    table = folder.with_name(f"{folder.name}.csv")
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "x0", "y0", "x1", "y1"], *rows])
    return table


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder to learn from and one to be asked about, each with its boxes."""
    root = tmp_path_factory.mktemp("scenes")
    return {
        name: (root / name, draw(root / name, count, seed))
        for seed, (name, count) in enumerate({"told": 10, "new": 6}.items())
    }


KEPT = TrainConfig(
    head="keep",
    boxes="boxes.csv",
    backbone="shufflenet_v2_x0_5",
    weights="random",
    input_size=96,
    fit="squash",
)


@pytest.fixture(scope="module")
def kept(scenes, tmp_path_factory):
    """An untrained network as it is, with a localizer; and the job that made it."""
    folder, boxes = scenes["told"]
    job = TrainJob(
        replace(KEPT, data=str(folder), boxes=str(boxes)), tmp_path_factory.mktemp("kept") / "run"
    )
    job.check()
    assert job.read() is None
    job.run()
    return job


@pytest.fixture(scope="module")
def network(kept):
    return load_classifier(checkpoint=kept.out / "best.safetensors", device="cpu")


def test_the_network_stays_as_it_is(kept, network):
    plain = load_classifier(
        KEPT.backbone, weights="random", input_size=96, fit="squash", device="cpu"
    )
    pixels = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    torch.testing.assert_close(network(pixels)[1], plain(pixels)[1])
    assert network.classes == plain.classes
    assert plain.localizer is None
    info = json.loads((kept.out / "run.json").read_text())
    assert info["status"] == "finished"
    assert info["judged"]["localizer"]["boxes"] == 10
    assert len(network.localizer.learnt) == 10


def test_it_is_a_method_that_says_what_it_is(network):
    """Never among the explanations; by both of its names it is this one."""
    assert TRAINED.name not in FACTS
    assert TRAINED.name not in METHODS
    assert find_facts("localizer") is find_facts("Trained-on-Boxes") is TRAINED
    pixels = torch.randint(0, 256, (3, 3, 96, 96), dtype=torch.uint8)
    look = network.look(pixels)
    made = maps_of(network, look, torch.tensor([0, 1, 2]), HOW)
    torch.testing.assert_close(made, network.localizer(look.parts[0].A))
    same = maps_of(network, look, torch.tensor([5, 5, 5]), HOW)
    assert torch.equal(made, same), "it looks at no class"


def test_a_network_without_one_and_another_layer_are_refused(kept, network):
    with pytest.raises(UsageError, match="camcli train --boxes"):
        check_influence(HOW, replace(network, localizer=None))
    other = load_classifier(checkpoint=kept.out / "best.safetensors", layer="stage3", device="cpu")
    with pytest.raises(UsageError, match="leave --layer out"):
        check_influence(HOW, other)
    with pytest.raises(UsageError, match="looks at no class"):
        make_map_options(TRAINED.name, score="logit")
    with pytest.raises(UsageError, match="eigen"):
        make_map_options(TRAINED.name, smooth="eigen")


def test_a_picture_is_made_and_its_result_names_it(kept, scenes, tmp_path):
    folder, _ = scenes["new"]
    job = ExplainJob(
        str(folder), ModelJob(checkpoint=kept.out / "best.safetensors", device="cpu"),
        MapJob(method="localizer"), out=tmp_path / "out", runtime="torch",
    )  # fmt: skip
    for result, files in job.start():
        assert result.status == "ok"
        assert result.method == TRAINED.name
        assert TRAINED.name in files[0].name


def test_what_is_said_of_it_names_no_class(kept, scenes, tmp_path, monkeypatch):
    """In the terminal, by ``inspect``, and on the page of a run."""
    from camcli.cli.app import app

    def camcli(*args):
        return CliRunner().invoke(app, list(args))

    monkeypatch.chdir(tmp_path)
    folder, _ = scenes["new"]
    file = str(kept.out / "best.safetensors")
    found = sorted(folder.rglob("*.png"))[0]
    done = camcli(
        "explain", str(found), "--checkpoint", file, "--method", "localizer", "--out", "a.jpg"
    )
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "Like what was boxed: x " in said
    assert ": heat in" not in said
    told = " ".join(camcli("inspect", file).stdout.split())
    assert "--method trained-on-boxes shows where things like those are" in told
    assert "10 boxes of 10 photographs" in told
    run = ("batch", str(folder), "--checkpoint", file, "--method", "localizer", "--out", "run")
    done = camcli(*run, "--report", "--runtime", "torch")
    assert done.exit_code == 0, done.output
    page = Path("run/report/index.html").read_text(encoding="utf-8")
    assert "nothing: where things like those are that boxes taught" in page
    settings = Path("run/report/data/settings.js").read_text(encoding="utf-8")
    assert '"noClass":true' in settings.replace(" ", "")
    # A network that knows a thousand classes believes none of this one, which is no matter here.
    assert '"weak":0' in settings.replace(" ", "")


@pytest.mark.parametrize("facts", [{}, {"boxes": "7", "box_iou": None}, {"box_iou": float("nan")}])
def test_what_anybody_wrote_of_it_is_told_as_far_as_it_can_be(network, facts):
    assert "nan" not in replace(network.localizer, facts=facts).told()
    assert "taught" not in replace(network.localizer, facts=facts).told()


def test_boxes_that_teach_nothing_leave_the_folder_as_it_was(kept, scenes, tmp_path):
    """Nothing is in the way of the next try, and an earlier run is not lost for them."""
    folder, boxes = scenes["told"]
    head, *rows = boxes.read_text().splitlines()
    column = head.split(",").index("path")
    away = tmp_path / "away.csv"
    away.write_text(
        "path,x0,y0,x1,y1\n"
        + "".join(f"{row.split(',')[column]},4000,4000,4100,4100\n" for row in rows)
    )
    out = tmp_path / "run"
    job = TrainJob(replace(KEPT, data=str(folder), boxes=str(away)), out)
    with pytest.raises(UsageError, match=r"there are 0: .*lie outside of its 96x96"):
        job.run()
    assert not out.exists() or not list(out.iterdir())
    replace(job, config=replace(job.config, boxes=str(boxes))).run()
    before = (out / "best.safetensors").read_bytes()
    with pytest.raises(UsageError, match=r"there are 0: .*lie outside of its 96x96"):
        replace(job, overwrite=True).run()
    assert (out / "best.safetensors").read_bytes() == before
    assert json.loads((out / "run.json").read_text())["status"] == "finished"


def test_its_row_counts_no_photograph_that_it_learnt_from(kept, scenes, tmp_path, ear):
    """Of the sixteen photographs ten taught it; of those alone it has no row at all."""
    told, new = scenes["told"], scenes["new"]
    both = tmp_path / "both"
    table = both.with_name("both.csv")
    draw(both, 10, 0)
    draw(both, 6, 1)
    lines = [f.read_text().splitlines() for f in (told[1], new[1])]
    table.write_text("\n".join([*lines[0], *lines[1][1:]]) + "\n")
    job = EvaluateJob(
        str(both), methods="cam", models=str(kept.out / "best.safetensors"), boxes=table,
        device="cpu", labels="none", bootstrap=20,
    )  # fmt: skip
    rows = {row.method: row for row in job.run(ear).rows}
    assert rows["cam"].count == 16
    assert rows[TRAINED.name].count == 6
    assert any("of 16 annotated photographs 10 taught trained-on-" in line for line in ear.said)
    # What an untrained network's last map says of coloured squares, ten boxes find.
    assert rows[TRAINED.name].metrics["energy"] > rows["random"].metrics["energy"]
    alone = replace(job, data=str(told[0]), boxes=told[1]).run(ear)
    assert TRAINED.name not in {row.method for row in alone.rows}
    assert "10 annotated photographs taught trained-on-boxes, which has no row" in ear.said[-1]
    # The six others have no box here, and leave it without a row as well.
    some = replace(job, boxes=told[1]).run(ear)
    assert TRAINED.name not in {row.method for row in some.rows}


def test_a_checkpoint_can_be_given_one(kept, scenes, tmp_path):
    """``--backbone best.safetensors``: and a second time it is another one, of other boxes."""
    folder, boxes = scenes["new"]
    config = TrainConfig(
        head="keep", backbone=str(kept.out / "best.safetensors"), data=str(folder),
        boxes=str(boxes),
    )  # fmt: skip
    job = TrainJob(config, tmp_path / "again", device="cpu")
    job.check()
    result = job.run()
    found = load_checkpoint(result.checkpoint)
    assert len(found.localizer.learnt) == 6
    assert found.preprocess.size == 96
    assert replace(job, resume=True).run().checkpoint == result.checkpoint


def test_boxes_outside_of_their_picture_teach_nothing(network, scenes):
    """What is cut at the edges teaches by the rest; what lies outside is no empty photograph."""
    refs = list(find_images(str(scenes["told"][0]), labels="none"))[:3]
    boxes = {
        refs[0].rel: ((200.0, 10.0, 240.0, 50.0),),
        refs[1].rel: ((-20.0, 10.0, 40.0, 500.0), (200.0, 10.0, 240.0, 50.0)),
        refs[2].rel: ((10.0, 10.0, 40.0, 50.0),),
    }
    failed = {}
    seen = {
        ref.rel: one
        for ref, one in look_at(network, refs, boxes, failed=failed, listener=Listener())
    }
    assert list(failed) == [refs[0].rel]
    assert "lie outside of its 96x96 pixels" in failed[refs[0].rel]
    assert seen[refs[1].rel].boxes == ((0.0, 10.0, 40.0, 96.0),)
    assert seen[refs[2].rel].boxes == boxes[refs[2].rel]


def test_a_new_head_and_boxes_in_one_run(scenes, tmp_path, quick, ear):
    """Classes are learnt as without boxes; a run that ended before the boxes goes on with them."""
    folder, boxes = scenes["told"]
    config = replace(quick, data=str(folder), boxes=str(boxes), epochs=1, folds=0, val=0.2)
    job = TrainJob(config, tmp_path / "run", device="cpu")
    job.check()
    result = job.run(ear, job.read())
    found = load_checkpoint(result.checkpoint)
    assert found.classes == ("green", "red")
    assert len(found.localizer.learnt) == 10, "validation images, too; test images would not"
    assert any(line.startswith("Trained on boxes: 10 boxes of 10") for line in ear.said)
    from camcli.models.loading.checkpoint import save_checkpoint

    save_checkpoint(result.checkpoint, replace(found, localizer=None))
    replace(job, resume=True).run()
    again = load_checkpoint(result.checkpoint)
    torch.testing.assert_close(again.localizer.weight, found.localizer.weight)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"head": "keep"}, "give --boxes"),
        ({"head": "keep", "boxes": "b.csv"}, "--backbone"),
        ({"head": "keep", "boxes": "b.csv", "backbone": "resnet18", "epochs": 9}, "--epochs"),
        ({"head": "keep", "boxes": "b.csv", "backbone": "resnet18", "unfreeze": "all"}, "unfreeze"),
        ({"head": "keep", "boxes": "b.csv", "backbone": "resnet18", "search": True}, "--search"),
    ],
)
def test_settings_that_mean_nothing_together(settings, words):
    with pytest.raises(UsageError, match=words):
        TrainConfig(**settings)


def test_boxes_that_are_not_there_are_told_at_once(scenes, tmp_path):
    config = TrainConfig(data=str(scenes["told"][0]), boxes=str(tmp_path / "no.csv"))
    with pytest.raises(UsageError, match=r"no boxes at .*no\.csv"):
        TrainJob(config, tmp_path / "run").check()
    missing = replace(KEPT, backbone=str(tmp_path / "no.safetensors"), weights=None, boxes=".")
    with pytest.raises(UsageError, match="no file"):
        TrainJob(missing, tmp_path / "run").check()


def test_boxes_without_labels_are_sent_to_keep(scenes, tmp_path):
    """Where the labels cannot be found, the boxes can be learnt from all the same."""
    folder, boxes = scenes["told"]
    (tmp_path / "flat").mkdir()
    for n, file in enumerate(sorted(each for each in Path(folder).rglob("*") if each.is_file())):
        (tmp_path / "flat" / f"{n}{file.suffix}").write_bytes(file.read_bytes())
    config = TrainConfig(data=str(tmp_path / "flat"), boxes=str(boxes))
    with pytest.raises(UsageError, match=r"labels in .* --head keep --backbone NAME"):
        TrainJob(config, tmp_path / "run").read()


def test_one_photograph_with_a_box_is_too_few_before_a_head_is_trained(scenes, tmp_path):
    folder, boxes = scenes["told"]
    head, row, *_ = Path(boxes).read_text(encoding="utf-8").splitlines()
    (tmp_path / "one.csv").write_text(f"{head}\n{row}\n", encoding="utf-8")
    config = TrainConfig(data=str(folder), boxes=str(tmp_path / "one.csv"))
    with pytest.raises(UsageError, match="one has a box"):
        TrainJob(config, tmp_path / "run").read()
    kept = replace(KEPT, data=str(folder), boxes=str(tmp_path / "one.csv"))
    with pytest.raises(UsageError, match="one has a box"):
        TrainJob(kept, tmp_path / "run").read()
