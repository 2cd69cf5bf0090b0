"""Each option of a command, and each argument of its function, is a field of one record."""

import inspect
import pickle
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import camcli
from camcli.api_evaluate import audit, evaluate
from camcli.api_report import report
from camcli.api_train import train
from camcli.cli.commands import audit as audit_command
from camcli.cli.commands import evaluate as evaluate_command
from camcli.cli.commands import report as report_command
from camcli.cli.commands import train as train_command
from camcli.errors import UsageError
from camcli.jobs.audit import EVERYTHING, AuditJob
from camcli.jobs.evaluate import EvaluateJob
from camcli.jobs.model import ModelJob
from camcli.jobs.record import filled
from camcli.jobs.report import ReportJob
from camcli.jobs.train import TrainJob
from camcli.train.config import TrainConfig

# What a command has and a job has not: where settings come from, and what is printed.
PRINTED = {"ctx", "config", "as_format", "open_it", "quiet"}
COMMANDS = {
    "evaluate": (evaluate_command.evaluate, [EvaluateJob("")]),
    "audit": (audit_command.audit, [AuditJob(""), EVERYTHING]),
    "report": (report_command.report, [ReportJob(())]),
    "train": (train_command.train, [TrainConfig(), TrainJob()]),
}
# The same for the functions: what is asked in another way there.
ASKED = {
    "evaluate": (evaluate, set()),
    "audit": (audit, {"model"}),  # the classifier, by name or loaded
    "report": (report, set()),
    # Settings by name, which are held against `TrainConfig` when they are given.
    "train": (train, {each.name for each in fields(TrainConfig)} - {"data"}),
}
MUST = {"data", "source", "runs"}  # have no default on the command line


def settings(records):
    return {each.name: getattr(record, each.name) for record in records for each in fields(record)}


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_option_has_its_field_and_its_default(verb):
    command, records = COMMANDS[verb]
    known = settings(records)
    options = inspect.signature(command).parameters
    asked = set(options) - PRINTED
    assert asked <= set(known)
    for name in asked - MUST:
        assert options[name].default == known[name], name
    # And no field is out of a command's reach: of a network its name alone decides the weights.
    assert set(known) - asked <= {"network", "config"} | {each.name for each in fields(ModelJob)}


@pytest.mark.parametrize("verb", COMMANDS)
def test_the_function_takes_what_the_command_takes(verb):
    command, records = COMMANDS[verb]
    function, otherwise = ASKED[verb]
    taken = inspect.signature(function).parameters
    asked = set(inspect.signature(command).parameters) - PRINTED - otherwise
    assert asked <= set(taken)
    known = settings(records)
    for name in asked - MUST:
        assert taken[name].default == known[name], name
    told = inspect.getdoc(function)
    assert [name for name in taken if f"{name}: " not in told] == []


@pytest.mark.parametrize("verb", ["batch", "evaluate", "train"])
def test_a_room_that_is_a_verb_can_be_called(verb):
    import importlib

    room = importlib.import_module(f"camcli.{verb}")
    function = getattr(importlib.import_module(camcli.HOMES[verb]), verb)
    assert getattr(camcli, verb) in (room, function)
    assert inspect.signature(room) == inspect.signature(function)
    assert room.__doc__ == inspect.getdoc(function)
    with pytest.raises(TypeError, match=f"{verb}.*unexpected|{verb}.*positional"):
        room("photos", "out", "classifier", "one too many")


def test_settings_are_found_by_name():
    given = {"model": "resnet18", "method": "cam", "nothing": 1}
    assert filled(ModelJob, given, device="cpu") == ModelJob("resnet18", device="cpu")


@pytest.mark.parametrize(
    "job",
    [
        EvaluateJob("photos", grid=[2], boxes=Path("boxes.csv")),
        AuditJob("run", k=3),
        ReportJob([Path("run")], thumbnails=5),
        TrainJob(TrainConfig(data="photos", solver="lbfgs"), Path("out")),
    ],
    ids=lambda job: type(job).__name__,
)
def test_a_job_can_be_sent_to_another_process(job):
    assert pickle.loads(pickle.dumps(job)) == job
    with pytest.raises(AttributeError):
        job.out = None


@pytest.mark.parametrize(
    ("job", "part"),
    [
        (EvaluateJob("x", methods="camm"), "Did you mean 'cam'"),
        (EvaluateJob("x", models="resnet19"), "Did you mean resnet"),
        (EvaluateJob("x", models="a.safetensors"), "no checkpoint a"),
        (EvaluateJob("x", weights=["a", "b"]), "is given 2 times, and --models names 1"),
        (EvaluateJob("x", weights_key="ema"), "add --weights FILE"),
        (EvaluateJob("x", preset="best"), "localize"),
        (EvaluateJob("x", labels="none"), "Nothing to measure"),
        (EvaluateJob("x", device="gpu"), "Unknown device"),
        (AuditJob("x", method="camm"), "Did you mean 'cam'"),
        (AuditJob("x", network=ModelJob("resnet19")), "Did you mean resnet"),
        (AuditJob("x", network=ModelJob(checkpoint="gone.pt")), "no checkpoint gone"),
        (ReportJob([Path("gone")]), "not a folder"),
        (TrainJob(TrainConfig(data="x", backbone="resnet19")), "Did you mean resnet"),
        (TrainJob(TrainConfig(data="x"), resume=True, overwrite=True), "give one"),
        (TrainJob(TrainConfig(data="x"), download=True), "that has a name"),
    ],
)
def test_check_tells_before_anything_is_looked_for(job, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=part):
        job.check()
    assert not list(tmp_path.iterdir())


def test_a_preset_is_what_was_not_chosen():
    plain, localize = EvaluateJob("x").settled(), EvaluateJob("x", preset="localize").settled()
    assert (plain.methods, plain.scale, plain.fit, plain.input_size) == ("cam", "relu", None, None)
    assert (localize.fit, localize.input_size, localize.smooth) == ("squash", 384, "aug")
    own = EvaluateJob("x", preset="localize", fit="whole", input_size=96, methods="layercam")
    assert (own.settled().fit, own.settled().input_size) == ("whole", 96)
    assert list(own.hows()) == ["random", "layercam"]
    assert own.hows()["layercam"].smooth == "aug"
    assert [EvaluateJob("x", methods=m).masks_channels for m in ("cam", "cam,SScam")] == [
        False,
        True,
    ]


def test_mistakes_are_told_without_torch(tmp_path):
    code = """if True:
        import sys
        import camcli
        from camcli.errors import CamcliError
        from pathlib import Path
        Path("photos").mkdir()
        Path("photos/cat.jpg").write_bytes(b"")
        for ask in (
            lambda: camcli.evaluate("photos", methods="camm"),
            lambda: camcli.evaluate("photos", "resnet19", grid=2),
            lambda: camcli.evaluate("photos", boxes="nowhere"),
            lambda: camcli.audit("photos", "resnet19"),
            lambda: camcli.audit("photos", masks="nowhere"),
            lambda: camcli.report("photos"),
            lambda: camcli.train("photos", backbone="resnet19"),
            lambda: camcli.train("photos", epoch=3),
            lambda: camcli.train("photos"),
        ):
            try:
                ask()
            except CamcliError as error:
                print(str(error).replace(chr(10), " "))
        print(*{"torch", "torchvision", "timm"} & set(sys.modules))
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    lines = done.stdout.split("\n")
    parts = [
        "Did you mean 'cam'", "Did you mean resnet", "no such file", "Did you mean resnet",
        "no such folder", "not a run", "Did you mean resnet", "did you mean epochs",
        "not recognised",
    ]  # fmt: skip
    assert len(lines) == len(parts) + 2
    for part, line in zip(parts, lines, strict=False):
        assert part in line
    assert lines[-2:] == ["", ""]
