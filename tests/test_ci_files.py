"""What runs elsewhere, and cannot be run here, agrees at least with what is here.

Workflows, the action and the container name files, make's targets, options and environment
variables: each of these exists. And what is dangerous in them is not there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML reads the workflows")

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = [ROOT / "action.yml", *sorted((ROOT / ".github" / "actions").glob("*/action.yml"))]


def read(path):
    found = yaml.safe_load(path.read_text("utf-8"))
    # YAML 1.1 takes the key "on" for a truth value.
    return {("on" if key is True else key): value for key, value in found.items()}


def jobs(path):
    return read(path)["jobs"].items()


def steps(path):
    found = read(path)
    if "runs" in found:
        return found["runs"]["steps"]
    return [step for job in found["jobs"].values() for step in job.get("steps", [])]


def test_they_are_there():
    assert [path.stem for path in WORKFLOWS] == ["ci", "long", "release"]
    assert len(ACTIONS) == 2


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
class TestWorkflow:
    def test_it_may_do_little(self, path):
        found = read(path)
        writes = {}
        assert all(value == "read" for value in found["permissions"].values())
        for name, job in jobs(path):
            writes |= {
                (name, scope): value
                for scope, value in job.get("permissions", {}).items()
                if value != "read"
            }
        allowed = {"attest": {"id-token", "attestations"}, "publish": {"id-token"}}
        for (job, scope), value in writes.items():
            assert path.stem == "release"
            assert scope in allowed[job], (job, scope)
            assert value == "write"

    def test_it_ends_and_does_not_pile_up(self, path):
        assert "group" in read(path)["concurrency"]
        for name, job in jobs(path):
            assert 0 < job["timeout-minutes"] <= 120, name

    def test_nothing_that_strangers_write_is_run(self, path):
        """``${{ }}`` in a script is pasted into it before the shell sees it."""
        for step in steps(path):
            assert "${{" not in step.get("run", ""), step
        assert "pull_request_target" not in read(path)["on"]
        assert "secrets." not in path.read_text("utf-8")

    def test_a_checkout_keeps_no_credentials(self, path):
        for step in steps(path):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False

    def test_jobs_wait_for_jobs_that_exist(self, path):
        names = {name for name, _ in jobs(path)}
        for name, job in jobs(path):
            needs = job.get("needs", [])
            for need in [needs] if isinstance(needs, str) else needs:
                assert need in names - {name}


@pytest.mark.parametrize(
    "path", [*WORKFLOWS, *ACTIONS], ids=lambda path: str(path.relative_to(ROOT))
)
class TestSteps:
    def test_actions_have_a_major_version(self, path):
        for step in steps(path):
            uses = step.get("uses")
            if uses is None:
                assert "run" in step
            elif uses.startswith("./"):
                assert (ROOT / uses / "action.yml").is_file(), uses
            else:
                assert re.fullmatch(r"actions/[\w-]+@v\d+|pypa/[\w-]+@release/v\d+", uses), uses

    def test_scripts_name_what_is_there(self, path):
        makefile = (ROOT / "Makefile").read_text("utf-8")
        for step in steps(path):
            script = step.get("run", "")
            for target in re.findall(r"^\s*make ([\w-]+)$", script, re.M):
                assert re.search(rf"^{target}:", makefile, re.M), target
            for name in re.findall(r"(?:\$ACTION/|[ ])((?:ci|tests)/[\w./]+)", script):
                assert (ROOT / name).is_file(), name

    def test_scripts_are_a_shell_s(self, path):
        if shutil.which("bash") is None:
            pytest.skip("no bash here")
        for step in steps(path):
            if "run" in step:
                done = subprocess.run(
                    ["bash", "-n"], input=step["run"], text=True, capture_output=True, check=False
                )
                assert done.returncode == 0, done.stderr

    def test_variables_of_scripts_are_set(self, path):
        """A name that nobody sets would be an empty word."""
        known = {"PWD", "PATH", "RUNNER_TEMP", "GITHUB_OUTPUT", "GITHUB_ENV", "RANDOM"}
        for step in steps(path):
            script = step.get("run", "")
            mine = set(re.findall(r"(?:^|[ ;])(\w+)=", script)) | set(
                re.findall(r"\bfor (\w+) in", script)
            )
            used = set(re.findall(r"\$\{?([A-Za-z_]\w*)", script))
            assert used <= known | mine | set(step.get("env", {})), step


def test_every_python_that_is_allowed_is_tried_on_every_system():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    versions = [
        each.rpartition(" ")[2]
        for each in project["classifiers"]
        if re.search(r"Python :: 3\.\d+$", each)
    ]
    matrix = read(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == versions
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    long = read(ROOT / ".github/workflows/long.yml")["on"]["workflow_dispatch"]["inputs"]
    assert long["python"]["options"] == versions
    assert long["os"]["options"] == matrix["os"]


def test_the_release_needs_a_tag_and_an_environment():
    release = read(ROOT / ".github/workflows/release.yml")
    assert release["on"]["push"] == {"tags": ["v*"]}
    assert release["permissions"] == {}
    publish = release["jobs"]["publish"]
    assert publish["environment"] == "pypi"
    assert publish["permissions"] == {"id-token": "write"}
    order = ["publish", "attest", "try", "build"]
    for job, before in pairwise(order):
        assert release["jobs"][job]["needs"] == before
    for job in ("attest", "publish"):
        assert release["jobs"][job]["if"] == "github.ref_type == 'tag'"


def options_of(command):
    from typer.main import get_command

    from camcli.cli.app import app

    found = get_command(app).commands[command]
    return {option for parameter in found.params for option in parameter.opts}


def test_options_of_camcli_exist():
    given = options_of("batch")
    for path in (ROOT / "ci" / "smoke.sh", ROOT / "action.yml"):
        text = path.read_text("utf-8")
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        lines = [line for line in code.splitlines() if "batch" in line or "set --" in line]
        assert lines
        for option in re.findall(r"(?<=\s)(--[a-z][\w-]*)", "\n".join(lines)):
            assert option in given, option
    defaults = {
        name: each.get("default") for name, each in read(ROOT / "action.yml")["inputs"].items()
    }
    assert defaults.pop("images") is None
    assert all(isinstance(default, str) for default in defaults.values())


class TestContainer:
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()

    def test_it_copies_what_the_context_has(self):
        allowed = {
            line[1:].strip()
            for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
            if line.startswith("!")
        }
        wanted = set()
        for line in self.lines:
            words = shlex.split(line, comments=True)
            if words[:1] == ["COPY"] and not words[1].startswith("--from"):
                wanted.update(words[1:-1])
            wanted.update(re.findall(r"type=bind,source=([^, ]+)", line))
        assert wanted == allowed
        assert all((ROOT / name).exists() for name in wanted)

    def test_what_the_package_needs_to_be_built_is_copied(self):
        """README and licence are read by the backend; the fonts' licences lie in the package."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        copied = " ".join(line for line in self.lines if line.startswith("COPY"))
        for name in (project["readme"], *project["license-files"]):
            assert name.split("/")[0] in copied

    def test_nobody_in_particular_runs_it(self):
        kinds = [line.split(" ", 1) for line in self.lines if re.match(r"[A-Z]+ ", line)]
        users = [rest for kind, rest in kinds if kind == "USER"]
        assert users == ["10001"]
        assert [rest for kind, rest in kinds if kind == "ENTRYPOINT"] == ['["camcli"]']
        froms = [rest for kind, rest in kinds if kind == "FROM"]
        assert all(rest.startswith("python:${PYTHON}-slim") for rest in froms)

    def test_its_variables_are_camcli_s(self):
        text = "\n".join(self.lines)
        code = "".join(path.read_text("utf-8") for path in (ROOT / "camcli").rglob("*.py"))
        for name in set(re.findall(r"\b(CAMCLI_\w+)=", text)):
            assert f'"{name}"' in code, name


class TestSmoke:
    @staticmethod
    def run(tmp_path, *words, **env):
        if shutil.which("sh") is None:
            pytest.skip("no shell here")
        stub = tmp_path / "camcli-stub"
        kept = {"PATH": os.environ["PATH"], "CAMCLI": f"sh {stub}"}
        return subprocess.run(
            ["sh", ROOT / "ci" / "smoke.sh", *map(str, words)], cwd=tmp_path, text=True,
            capture_output=True, check=False, env=kept | env,
        )  # fmt: skip

    @staticmethod
    def program(tmp_path, counts, code):
        """In place of camcli: leaves a run.json as camcli's own function writes it."""
        from camcli.batch.run_files.rundir import RunDirectory

        made = tmp_path / "made"
        made.mkdir()
        run = RunDirectory(made)
        (made / "run.json").touch()
        run.write_info({"camcli": "1", "counts": counts, "state": "finished", "done": 77})
        (tmp_path / "camcli-stub").write_text(
            'printf "%s\\n" "$@" > words\n'
            f"mkdir -p camcli-smoke && cp made/run.json camcli-smoke/ && exit {code}\n"
        )

    COUNTS: ClassVar = {"done": 9, "failed": 1, "empty": 0, "labelled": 4, "correct": 3, "drawn": 8}

    @pytest.mark.parametrize(
        ("code", "least", "labelled", "expected", "said"),
        [
            (0, "", 4, 0, "9 images, 1 failed, accuracy 0.7500 of 4 labelled"),
            (0, "0.75", 4, 0, "accuracy 0.7500"),
            (0, "0.76", 4, 1, "below 0.76"),
            (0, "0.5", 0, 1, "no picture has a label"),
            (0, "", 0, 0, "9 images, 1 failed"),
            (3, "", 4, 3, "9 images, 1 failed"),
            (3, "0.9", 4, 3, "accuracy 0.7500"),
            (1, "", 4, 1, "exit code 1"),
            (2, "", 4, 2, "exit code 2"),
            (4, "0.1", 4, 4, "exit code 4"),
        ],
    )
    def test_its_verdict(self, tmp_path, code, least, labelled, expected, said):
        self.program(tmp_path, {**self.COUNTS, "labelled": labelled}, code)
        done = self.run(tmp_path, "photos", MIN_ACCURACY=least)
        assert done.returncode == expected, done.stderr
        assert said in done.stdout + done.stderr
        if code in (1, 2, 4):
            assert "images" not in done.stdout

    def test_what_it_asks_of_camcli(self, tmp_path):
        self.program(tmp_path, self.COUNTS, 0)
        done = self.run(tmp_path, "my photos", "--topk", "2", OUT="camcli-smoke", FAIL_ON="1%")
        assert done.returncode == 0, done.stderr
        words = (tmp_path / "words").read_text().splitlines()
        assert words[:4] == ["batch", "my photos", "--topk", "2"]
        assert words[words.index("--fail-on") + 1] == "1%"
        assert self.run(tmp_path).returncode == 2

    @pytest.mark.slow
    def test_on_the_sample_pictures(self, tmp_path):
        env = {
            "CAMCLI": f"{sys.executable} -m camcli",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "CAMCLI_CACHE": os.environ["CAMCLI_CACHE"],
        }
        done = self.run(
            tmp_path, ROOT / "sample_images", "--labels", "(alp|espresso|military_uniform|tripod)",
            MIN_ACCURACY="0.7", GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"), **env,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "9 images, 0 failed, accuracy 0.7500 of 4 labelled" in done.stdout
        assert "9 images" in (tmp_path / "summary.md").read_text()
        run = tmp_path / "camcli-smoke"
        assert len(list((run / "overlays").rglob("*.jpg"))) == 9
        assert (run / "report" / "index.html").is_file()
