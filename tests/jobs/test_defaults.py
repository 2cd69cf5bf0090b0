"""Each setting stands in one record; options and arguments have its name and its default."""

import inspect
import subprocess
import sys
from dataclasses import MISSING, fields

import pytest
from typer.main import get_command

from camcli import api
from camcli.jobs.batch import BatchJob
from camcli.jobs.concepts import ConceptsJob
from camcli.jobs.explain import ExplainJob
from camcli.jobs.layers import LayersJob
from camcli.jobs.maps import MapJob
from camcli.jobs.model import ModelJob
from camcli.render.style import Style

NESTED = {"network": ModelJob, "maps": MapJob, "style": Style}
JOBS = {"explain": ExplainJob, "batch": BatchJob, "concepts": ConceptsJob, "layers": LayersJob}
# Of a command alone: what it prints, and when it fails.
PRINTED = {"as_json", "quiet", "fail_on", "report", "everything"}


def settings(record):
    """All settings of a record and of those within it, with their defaults."""
    found = {}
    for each in fields(record):
        if each.name in NESTED:
            found |= settings(NESTED[each.name])
        elif each.default is not MISSING:
            found[each.name] = each.default
    return found


@pytest.mark.parametrize("name", JOBS)
def test_every_option_is_a_setting_with_the_same_default(name):
    from camcli.cli.app import app

    command = get_command(app).commands[name]
    wanted = settings(JOBS[name])
    given = {each.name: each.default for each in command.params}
    assert given.pop("images", None) is None  # there must be some
    # A command writes unless it is told otherwise, a function only where it is told.
    given.pop("out", None), wanted.pop("out", None)
    if "no_overlays" in given:
        given["overlays"] = not given.pop("no_overlays")
    if "devices" in given:  # the network's among them
        given["device"] = given["devices"]
    given = {key: value for key, value in given.items() if key not in PRINTED | {"help"}}
    assert given == {key: wanted[key] for key in given}
    # What is no option of this command is no setting that anybody could miss.
    assert wanted.keys() - given.keys() <= {"native_predictions"}


# A network is loaded first, or named; these may be said beside its name.
BESIDE_THE_NAME = {"layer", "input_size", "native_predictions"}
# A command takes auto; each call of the function would start the runtime anew.
OWN = {"explain": {"runtime": "torch"}}


@pytest.mark.parametrize("name", JOBS)
def test_every_argument_is_a_setting_with_the_same_default(name):
    taken = dict(inspect.signature(getattr(api, name)).parameters)
    for required in ("image", "images"):
        taken.pop(required, None)
    if name != "layers":
        assert taken.pop("classifier").default is None
    wanted = settings(JOBS[name])
    if name != "layers":
        loading = {each.name for each in fields(ModelJob)} - BESIDE_THE_NAME
        wanted = {key: value for key, value in wanted.items() if key not in loading}
    assert {key: each.default for key, each in taken.items()} == wanted | OWN.get(name, {})


@pytest.mark.parametrize("name", JOBS)
def test_every_argument_is_described(name):
    described = inspect.getdoc(getattr(api, name))
    for argument in inspect.signature(getattr(api, name)).parameters:
        assert f"{argument}: " in described, argument


@pytest.mark.parametrize("record", [*JOBS.values(), ModelJob, MapJob])
def test_every_setting_is_described(record):
    for each in fields(record):
        assert f"{each.name}: " in inspect.getdoc(record), each.name


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
