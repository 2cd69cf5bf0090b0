"""What evaluate and train left beside a run: found, and read without trusting a word of it."""

import copy
import hashlib
import json

import pytest

from camcli.errors import UsageError
from camcli.jobs.beside.evaluation import find_evaluation, read_evaluation
from camcli.jobs.beside.training import find_training, read_training

ODD = [None, True, -1, 1e308, 10**400, "", "x\0y", "<b>", [], {}, [[]], {"a": {}}, [None, 3]]


def evaluated(folder, source, networks=None, **more):
    """An evaluation as `camcli evaluate` records it."""
    spans = {"energy": [0.7, 0.9], "pointing": [0.8, 1.0]}
    record = {
        "kind": "evaluate",
        "files": ["results.json"],
        "data": "photos",
        "photographs": 12,
        "unreadable": ["x.jpg: empty"],
        "settings": {"layer": "last", "source": str(source), "networks": networks or {}},
        "predictions": {
            "net": {
                "count": 12, "unlabelled": 1, "top1": 0.75,
                "most_confused": [{"true": "cat", "predicted": "dog", "count": 3, "share": 0.25}],
            }
        },
        "rows": [
            {"model": "", "method": "centre-box", "photographs": 12,
             "metrics": {"energy": 0.5, "pointing": 1.0}, "intervals": spans},
            {"model": "net", "method": "cam", "photographs": 12,
             "metrics": {"energy": 0.8, "pointing": 0.9}, "intervals": spans},
        ],
        "sanity": [
            {"model": "net", "method": "unrelated", "metrics": {"rank@head": 0.2}},
            {"model": "net", "method": "cam", "metrics": {"rank@head": 0.3, "ssim@head": 0.4}},
        ],
        "verdicts": ["cam (net): destroyed by a random head."],
        "against_centre_box": [{"metric": "energy", "sentence": "By energy, cam beats it."}],
        **more,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(record))
    return record


@pytest.fixture
def run(tmp_path):
    """The folder and the record of a run of a checkpoint over tmp_path/photos."""
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "T").mkdir()
    checkpoint = tmp_path / "T" / "best.safetensors"
    checkpoint.write_bytes(b"weights")
    provenance = {
        "name": "net", "weights": "T/best.safetensors", "source": "checkpoint",
        "sha256": hashlib.sha256(b"weights").hexdigest(),
    }  # fmt: skip
    return folder, {"config": {"source": str(tmp_path / "photos")}, "provenance": provenance}


def quiet(text):
    return None


def test_an_evaluation_over_the_same_photographs_is_found_beside_the_run(run, tmp_path):
    folder, info = run
    evaluated(tmp_path / "other", tmp_path / "elsewhere")
    assert find_evaluation(info, folder, None, quiet) is None
    evaluated(tmp_path / "eval", tmp_path / "photos")
    found = find_evaluation(info, folder, None, quiet)
    assert found["folder"] == str(tmp_path / "eval")
    assert found["same"] is None  # nobody recorded of which network it is
    # The one of the run's network counts more than a newer one.
    own = {"net": str(tmp_path / "T" / "best.safetensors")}
    evaluated(folder / "evaluation", tmp_path / "photos", own)
    (tmp_path / "eval" / "results.json").touch()
    told = []
    found = find_evaluation(info, folder, None, told.append)
    assert (found["folder"], found["same"]) == (str(folder / "evaluation"), True)
    assert found["others"] == [str(tmp_path / "eval")]
    assert "--evaluation" in told[0]
    # By the user's word, any; that of another network says so, and is not taken unasked.
    (tmp_path / "x.safetensors").write_bytes(b"other")
    evaluated(tmp_path / "other", tmp_path / "photos", {"net": str(tmp_path / "x.safetensors")})
    for folder_of_one in (tmp_path / "eval", folder / "evaluation"):
        (folder_of_one / "results.json").unlink()
    told.clear()
    assert find_evaluation(info, folder, None, told.append) is None
    assert "another network" in told[0]
    assert find_evaluation(info, folder, tmp_path / "other", quiet)["same"] is False
    with pytest.raises(UsageError, match="camcli evaluate"):
        find_evaluation(info, folder, tmp_path / "T", quiet)


def test_the_page_says_which_method_to_use(tmp_path):
    advice = [{"model": "net", "lines": ["Verdict on net: use cam.", 7]}, "broken"]
    record = evaluated(
        tmp_path / "eval", tmp_path / "photos", advice=advice, about_heads=["idsds (net): in 96%."]
    )
    found = read_evaluation(tmp_path / "eval", record)["verdicts"]
    assert found == [
        "Verdict on net: use cam.", "idsds (net): in 96%.", "cam (net): destroyed by a random head."
    ]  # fmt: skip
    record["advice"] = {"no": "list"}
    assert read_evaluation(tmp_path / "eval", record)["verdicts"] == found[1:]


@pytest.mark.parametrize(
    ("source", "name", "same"),
    [("torchvision", "net", True), ("torchvision", "other", False), ("user", "net", None)],
)
def test_networks_by_name_are_told_apart_by_it(run, tmp_path, source, name, same):
    folder, info = run
    info["provenance"] = {"name": name, "weights": "DEFAULT", "source": source}
    evaluated(tmp_path / "eval", tmp_path / "photos")
    found = find_evaluation(info, folder, None, quiet)
    assert found is None if same is False else found["same"] is same
    assert find_evaluation(info, folder, tmp_path / "eval", quiet)["same"] is same


def test_an_evaluation_of_before_is_found_by_what_the_user_typed(run, tmp_path):
    folder, info = run
    evaluated(tmp_path / "eval", "", settings={"layer": "last"})
    info["folder"] = str(tmp_path)
    assert find_evaluation(info, folder, None, quiet)["folder"] == str(tmp_path / "eval")


def test_an_evaluation_as_the_page_shows_it(tmp_path):
    found = read_evaluation(tmp_path, evaluated(tmp_path, "photos"))
    (heat,) = found["tables"]
    assert heat["title"] == "Heat"
    assert heat["metrics"] == [["pointing", False], ["energy", False]]
    # The best of a column is that of a method, and only if no control is better.
    assert heat["best"] == [None, 0.8]
    assert [row[:2] for row in heat["rows"]] == [["centre-box", "control"], ["cam", ""]]
    assert found["network"] == "net", "told once, as it is the only one"
    assert heat["rows"][1][2][1] == [0.8, 0.7, 0.9]
    assert heat["sentence"] == "By energy, cam beats it."
    rank, ssim = found["sanity"]
    assert [row[0] for row in rank["rows"]] == ["unrelated", "cam"]
    assert [row[1] for row in rank["rows"]] == ["control", ""]
    assert [row[0] for row in ssim["rows"]] == ["cam"]
    assert found["predictions"][0]["pairs"] == [["cat", "dog", 3.0, 0.25]]


def places(value, path=()):
    """The paths of everything within plain values."""
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in list(items):
            yield from places(each, (*path, key))


def replaced(value, path, odd):
    if not path:
        return odd
    changed = copy.deepcopy(value)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = odd
    return changed


def test_no_record_of_an_evaluation_stops_a_page(run, tmp_path):
    folder, info = run
    record = evaluated(tmp_path / "eval", tmp_path / "photos")
    info["provenance"]["source"] = "user"  # no file is read again and again
    for n, path in enumerate(places(record)):
        for odd in (ODD * 2)[n % len(ODD) :][:4]:
            broken = replaced(record, path, odd)
            (tmp_path / "eval" / "results.json").write_text(json.dumps(broken))
            found = find_evaluation(info, folder, None, quiet)
            json.dumps(found, allow_nan=False).encode()


def trained(folder, **more):
    """A training as `camcli train` records it."""
    info = {
        "command": "train", "status": "finished", "started": "2026-01-01", "finished": "2026-01-02",
        "config": {"data": "photos", "backbone": "net", "epochs": 2, "unfreeze": None},
        "backbone": {"name": "net", "weights": "DEFAULT"}, "data": {"root": "/photos"},
        "counts": {"train": 20, "val": 4, "test": 0}, "seconds": {"features": 1.0, "head": 2.0},
        "classes": ["cat", "dog"], "notes": ["a note"], "skipped": 0, "device": "cpu",
        "metrics": {"val": {"count": 4, "top1": 0.75, "log_loss": None}}, **more,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(info))
    (folder / "metrics.csv").write_text(
        "stage,epoch,lr,train_loss,val_loss,val_acc\n1,1,0.1,0.9,0.8,0.5\n1,2,0.1,0.5,,0.75\n"
    )
    (folder / "per_class-val.csv").write_text(
        "class,support,precision,recall,average_precision\n'=cat,2,,0.5,0.9\ndog,2,1,1,1\n"
    )
    (folder / "confused-val.csv").write_text("true,predicted,count,share\n=cat,dog,1,0.5\n")
    (folder / "search.csv").write_text(
        "backbone,input_size,fit,pooling,channels,l2,images,log_loss,accuracy,seconds,won\n"
        "net,,,mean,8,0.1,20,0.5,0.75,1.5,\nnet,320,squash,|mean|,8,0.1,20,0.6,,1.5,yes\n"
        ",,,,,,,0.1,,,\nbroken,,,,,,,nan,,,\n"
    )
    return info


def test_the_training_of_the_runs_checkpoint_is_found(run, tmp_path):
    folder, info = run
    assert find_training(info, folder, None, quiet) is None
    trained(tmp_path / "T")
    found = find_training(info, folder, None, quiet)
    assert found["same"] is True
    assert [sorted(row) for row in found["epochs"]] == [
        ["epoch", "lr", "stage", "train_loss", "val_acc", "val_loss"],
        ["epoch", "lr", "stage", "train_loss", "val_acc"],
    ]
    (val,) = found["splits"]
    assert val["scores"] == {"count": 4, "top1": 0.75}
    assert val["classes"][0] == ["=cat", 2, 0.5, None, None, 0.9, None]
    facts = dict(found["facts"])
    assert facts["Split"] == "20 training, 4 validation"
    assert (facts["Classes"], facts["Seconds"]) == ("2", "3.0")
    assert all(command.startswith("camcli ") for _, command in found["commands"])


def test_whether_fine_tuning_was_worth_it_is_told(tmp_path):
    config = {"data": "photos", "backbone": "net", "unfreeze": "layer4"}
    told = [{"kept": "head alone", "told": "It is worse."}, {"kept": "fine-tuned", "told": 3}, None]
    trained(tmp_path / "T", config=config, fine_tuning=told)
    facts = dict(read_training(tmp_path / "T")["facts"])
    assert facts["Fine-tuning"].split() == ["It", "is", "worse.", "3"]
    assert facts["What learned"] == "the head, and the backbone from layer4"
    trained(tmp_path / "T", config=config, fine_tuning=told[:1])
    assert dict(read_training(tmp_path / "T")["facts"])["What learned"] == "the head"
    for odd in ("text", {}, 1, None):
        trained(tmp_path / "T", config=config, fine_tuning=odd)
        assert "Fine-tuning" not in dict(read_training(tmp_path / "T")["facts"])


def test_what_a_search_tried_is_told_the_one_that_was_taken_first(tmp_path):
    trained(tmp_path / "T")
    taken, other = read_training(tmp_path / "T")["tried"]
    assert (taken["won"], taken["fit"], taken["pooling"]) == (True, "squash", "|mean|")
    assert (taken["log_loss"], taken["accuracy"]) == (0.6, None)
    assert (other["won"], other["input_size"], other["images"]) == (False, "", 20)
    (tmp_path / "T" / "search.csv").unlink()
    assert read_training(tmp_path / "T")["tried"] == []


def test_a_training_of_another_checkpoint_is_not_taken_for_the_runs(run, tmp_path):
    folder, info = run
    trained(tmp_path / "T")
    (tmp_path / "T" / "best.safetensors").write_bytes(b"trained again")
    told = []
    assert find_training(info, folder, None, told.append) is None
    assert "has changed since" in told[0]
    assert find_training(info, folder, tmp_path / "T", quiet)["same"] is False
    (tmp_path / "T" / "best.safetensors").unlink()
    assert find_training(info, folder, None, quiet)["same"] is None
    with pytest.raises(UsageError, match="camcli train"):
        find_training(info, folder, tmp_path, quiet)


def test_weights_that_are_no_checkpoint_have_no_training(run, tmp_path):
    folder, info = run
    trained(tmp_path / "T")
    info["provenance"]["source"] = "user"
    assert find_training(info, folder, None, quiet) is None


def test_an_unfinished_training_says_how_to_go_on(tmp_path):
    trained(tmp_path / "T", status="running")
    found = read_training(tmp_path / "T")
    assert found["commands"][0][1].endswith("--resume")


def test_no_record_of_a_training_stops_a_page(tmp_path):
    folder = tmp_path / "T"
    record = trained(folder)
    for path in places(record):
        for odd in ODD:
            (folder / "run.json").write_text(json.dumps(replaced(record, path, odd)))
            json.dumps(read_training(folder), allow_nan=False).encode()
    (folder / "run.json").write_text(json.dumps(record))
    for name in ("metrics.csv", "per_class-val.csv", "confused-val.csv", "search.csv"):
        for content in (b"", b"\xff\xfe\0", b'a,"b\n1', b"class\n" + b"x," * 3, b"epoch\nnan\n"):
            (folder / name).write_bytes(content)
            json.dumps(read_training(folder), allow_nan=False).encode()


@pytest.mark.parametrize(
    "weights", ["", "\0", "~nobody/x", "/", ".", "T", 3, None, ["x"], "x" * 300]
)
def test_no_name_of_a_checkpoint_stops_a_page(run, tmp_path, weights):
    folder, info = run
    trained(tmp_path / "T")
    info["provenance"]["weights"] = weights
    info["folder"] = weights
    find_training(info, folder, None, quiet)
    evaluated(tmp_path / "e", tmp_path / "photos", {"net": weights})
    find_evaluation(info, folder, None, quiet)


def test_a_page_calls_no_form_of_a_map_better(tmp_path):
    """Of complexity less is not better, and no sparseness is the best; of deletion one is."""
    metrics = {"sparseness": 0.5, "complexity": 0.6, "deletion": 0.2}
    row = {"model": "net", "method": "cam", "photographs": 12, "metrics": metrics, "intervals": {}}
    found = read_evaluation(tmp_path, evaluated(tmp_path, "photos", rows=[row]))
    by_metric = {
        metric: (less, best)
        for table in found["tables"]
        for (metric, less), best in zip(table["metrics"], table["best"], strict=True)
    }
    assert by_metric == {
        "sparseness": (False, None),
        "complexity": (False, None),
        "deletion": (True, 0.2),
    }
