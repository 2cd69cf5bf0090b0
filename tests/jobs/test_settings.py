"""Each setting stands in one record; a command's option and a function's argument have its name.

And its default. Where a verb differs on purpose, `VERBS` says in what, and nothing else may.
"""

import importlib
import inspect
import pickle
import subprocess
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

import camcli
from camcli.errors import UsageError
from camcli.jobs.apply import ApplyJob
from camcli.jobs.audit import AuditJob
from camcli.jobs.batch import BatchJob
from camcli.jobs.check import CheckJob
from camcli.jobs.concepts import ConceptsJob
from camcli.jobs.evaluate import EvaluateJob
from camcli.jobs.explain import ExplainJob
from camcli.jobs.inspect import InspectJob
from camcli.jobs.layers import LayersJob
from camcli.jobs.maps import MapJob
from camcli.jobs.model import ModelJob
from camcli.jobs.record import filled
from camcli.jobs.report import ReportJob
from camcli.jobs.train import TrainJob
from camcli.render.style import Style
from camcli.train.config import TrainConfig

PARTS = ModelJob, MapJob, Style, TrainConfig
NETWORK = {each.name for each in fields(ModelJob)}
# A network is loaded first, or named; these may be said beside its name.
LOADING = NETWORK - {"layer", "input_size", "native_predictions", "against"}
NO_DEFAULT = inspect.Parameter.empty


@dataclass
class Verb:
    """How a command and a function differ from their record.

    Attributes:
        job: the record.
        printed: options about what is printed, or from where settings are read: no settings.
        no_option: settings that the command does not have.
        no_argument: settings that the function does not have.
        beside: arguments that are no settings.
        option: defaults of options that differ.
        argument: defaults of arguments that differ.
    """

    job: Any
    printed: set[str]
    no_option: set[str] = field(default_factory=set)
    no_argument: set[str] = field(default_factory=set)
    beside: set[str] = field(default_factory=set)
    option: dict[str, Any] = field(default_factory=dict)
    argument: dict[str, Any] = field(default_factory=dict)


VERBS = {
    "explain": Verb(
        ExplainJob(""),
        {"as_json"},
        no_argument=LOADING | {"images"},
        beside={"classifier", "image"},
        option={"images": NO_DEFAULT},
        # A command takes auto; each call of the function would start the runtime anew: it leaves
        # the network to what runs it.
        argument={"runtime": None},
    ),
    "batch": Verb(
        BatchJob(""),
        {"no_overlays", "quiet", "report", "fail_on"},
        no_option={"overlays", "device"},  # --no-overlays; --device has the network's and others
        no_argument=LOADING,
        beside={"classifier"},
        # A command writes unless it is told otherwise, a function only where it is told.
        option={"images": NO_DEFAULT, "out": Path("camcli-run")},
        argument={"images": NO_DEFAULT},
    ),
    "concepts": Verb(
        ConceptsJob(""),
        {"as_json"},
        no_option={"native_predictions", "threshold", "against"},  # nothing is predicted
        no_argument=LOADING | {"against"},
        beside={"classifier"},
        option={"images": NO_DEFAULT, "out": Path("concepts")},
        argument={"images": NO_DEFAULT},
    ),
    "inspect": Verb(
        InspectJob(""),
        {"as_json"},
        option={"model": NO_DEFAULT},
        argument={"model": NO_DEFAULT},
    ),
    "layers": Verb(LayersJob(), {"as_json", "everything"}),
    "evaluate": Verb(
        EvaluateJob(""),
        {"as_format", "ctx", "config"},
        beside={"listener"},
        option={"data": NO_DEFAULT},
        argument={"data": NO_DEFAULT},
    ),
    "audit": Verb(
        AuditJob(""),
        {"ctx"},
        no_option={"native_predictions", "layer", "against"},
        no_argument={"native_predictions", "layer", "model", "against"},
        beside={"classifier", "listener"},
        option={"source": NO_DEFAULT},
        argument={"source": NO_DEFAULT},
    ),
    "check": Verb(
        CheckJob(""),
        set(),
        # What the network says is not asked, only its features.
        no_option={
            "native_predictions", "classes", "weights_key", "layer", "output", "threshold",
            "against",
        },
        no_argument={
            "native_predictions", "classes", "weights_key", "layer", "output", "threshold",
            "against",
        },
        beside={"listener"},
        option={"data": NO_DEFAULT},
        argument={"data": NO_DEFAULT},
    ),
    "apply": Verb(
        ApplyJob(),
        set(),
        beside={"listener"},
        option={"marks": NO_DEFAULT, "to": NO_DEFAULT},
        argument={"marks": NO_DEFAULT, "to": NO_DEFAULT},
    ),
    "report": Verb(
        ReportJob([]),
        {"open_it", "ctx"},
        beside={"listener"},
        option={"runs": NO_DEFAULT},
        argument={"runs": NO_DEFAULT},
    ),
    "train": Verb(
        TrainJob(),
        {"quiet", "ctx", "config"},
        # Given by name, and held against `TrainConfig` when they are.
        no_argument={each.name for each in fields(TrainConfig)} - {"data"},
        beside={"config", "settings", "listener"},
        argument={"data": None},
    ),
}  # fmt: skip


def settings(record):
    """All settings of a record and of those within it, with their defaults."""
    found = {}
    for each in fields(record):
        value = getattr(record, each.name)
        found |= settings(value) if isinstance(value, PARTS) else {each.name: value}
    return found


def defaults(function):
    return {name: each.default for name, each in inspect.signature(function).parameters.items()}


def function_of(verb):
    return getattr(importlib.import_module(camcli.HOMES[verb]), verb)


def without(values, names):
    return {name: value for name, value in values.items() if name not in names}


def test_every_verb_is_held_against_its_record():
    functions = {name for name in camcli.HOMES if name.islower()} - {"load_classifier"}
    assert set(VERBS) == functions


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_a_setting_with_its_default(verb):
    how = VERBS[verb]
    options = defaults(getattr(importlib.import_module(f"camcli.cli.commands.{verb}"), verb))
    assert how.printed <= set(options)
    wanted = without(settings(how.job), how.no_option) | how.option
    assert without(options, how.printed) == wanted
    if "no_overlays" in options:
        assert options["no_overlays"] is not how.job.overlays


@pytest.mark.parametrize("verb", VERBS)
def test_every_argument_is_a_setting_with_its_default(verb):
    how = VERBS[verb]
    arguments = defaults(function_of(verb))
    assert how.beside <= set(arguments)
    wanted = without(settings(how.job), how.no_argument) | how.argument
    assert without(arguments, how.beside) == wanted


@pytest.mark.parametrize("verb", VERBS)
def test_every_argument_is_described(verb):
    told = inspect.getdoc(function_of(verb))
    assert [name for name in defaults(function_of(verb)) if f"{name}: " not in told] == []


@pytest.mark.parametrize(
    "record",
    [*(type(verb.job) for verb in VERBS.values()), ModelJob, MapJob],
    ids=lambda record: record.__name__,
)
def test_every_setting_is_described(record):
    told = inspect.getdoc(record)
    assert [each.name for each in fields(record) if f"{each.name}: " not in told] == []


@pytest.mark.parametrize("verb", ["batch", "evaluate", "train"])
def test_a_room_that_is_a_verb_can_be_called(verb):
    import importlib

    room = importlib.import_module(f"camcli.{verb}")
    function = getattr(importlib.import_module(camcli.HOMES[verb]), verb)
    assert getattr(camcli, verb) in (room, function)
    assert inspect.signature(room) == inspect.signature(function)
    # Read often: Python 3.14 has a way of its own to attributes of modules that are read again.
    assert {room.__doc__ for _ in range(100)} == {inspect.getdoc(function)}
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
    assert (plain.methods, plain.scale, plain.fit, plain.input_size) == ("auto", "relu", None, None)
    assert (localize.fit, localize.input_size, localize.smooth) == ("squash", 384, "views")
    own = EvaluateJob("x", preset="localize", fit="whole", input_size=96, methods="layercam")
    assert (own.settled().fit, own.settled().input_size) == ("whole", 96)
    assert list(own.hows()) == ["random", "layercam"]
    assert own.hows()["layercam"].smooth == "views"
    assert own.hows()["layercam"].box_threshold == 0.15
    chosen = EvaluateJob("x", preset="localize", box_threshold=0.3)
    assert chosen.hows()["cam"].box_threshold == 0.3
    assert plain.hows()["auto"].box_threshold == 0.2
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


def test_jobs_are_made_checked_and_pickled_without_torch(tmp_path):
    code = (
        "import sys, pickle\n"
        "from pathlib import Path\n"
        "from camcli.jobs.batch import BatchJob\n"
        "from camcli.jobs.concepts import ConceptsJob\n"
        "from camcli.jobs.explain import ExplainJob\n"
        "from camcli.jobs.layers import LayersJob\n"
        "run = BatchJob('photos', out=Path('run'))\n"
        "for job in (run, ConceptsJob('x'), ExplainJob('x'), LayersJob()):\n"
        "    job.check()\n"
        "    assert pickle.loads(pickle.dumps(job)) == job\n"
        "print(*{'torch', 'timm', 'numpy', 'cv2', 'PIL'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == ""
