"""What is wrong without a network is told before torch is imported, which takes seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Each in a fresh folder that holds cat.jpg (a picture), text.txt, run/ (a finished run's files),
# and taken/ (a picture of explain's default name). The second is a part of the message.
MISTAKES = [
    ("explain nothere.jpg", "nothere.jpg"),
    ("explain nofolder/*.jpg", "nofolder"),
    ("explain cat.jpg --method gradcamm", "Did you mean 'gradcam'"),
    ("explain cat.jpg --model resnet19", "Did you mean"),
    ("explain cat.jpg --model timm:resnet19", "Did you mean"),
    ("explain cat.jpg --model module:", "module:factory"),
    ("explain cat.jpg --model resnet18 --weights gone.pth", "gone.pth"),
    ("explain cat.jpg --checkpoint gone.safetensors", "gone.safetensors"),
    ("explain cat.jpg --checkpoint run", "It is a folder"),
    ("explain cat.jpg --classes gone.txt", "gone.txt"),
    ("explain cat.jpg --checkpoint cat.jpg --model resnet18", "leave --model"),
    ("explain cat.jpg --device gpu", "Unknown device"),
    ("explain cat.jpg --runtime fast", "Unknown runtime"),
    ("explain cat.jpg --input-size 8", "at least 16"),
    ("explain cat.jpg --input-size 100000", "100000"),
    ("explain cat.jpg --colormap rainbow", "rainbow"),
    ("explain cat.jpg --alpha 2", "--alpha"),
    ("explain cat.jpg --quality 0", "--quality"),
    ("explain cat.jpg --layer a,a", "different ones"),
    ("explain cat.jpg --native-predictions", "--input-size"),
    ("explain cat.jpg --signed --method layercam", "--signed"),
    ("explain cat.jpg --target cat", "Egyptian cat"),
    ("explain cat.jpg --method diffcam", "--against FOLDER names them"),
    ("explain cat.jpg --method gradcam,cam --against .", "cam is the linear layer of the network"),
    ("batch . --out run --method legrad --against .", "legrad follows attention to the network"),
    ("explain cat.jpg --against nowhere", "--against: "),
    ("explain cat.jpg --against cat.jpg --topk 2", "leave --topk out"),
    ("explain cat.jpg --out taken", "--overwrite"),
    ("explain cat.jpg text.txt --out one.jpg", "name a folder"),
    ("batch nothere", "nothere"),
    ("batch photos --out full", "--out"),
    ("batch photos --out text.txt", "is a file"),
    ("batch photos --out r --resume --overwrite", "give one"),
    ("batch photos --out r --precision int3", "Unknown precision"),
    ("batch photos --out r --format xlsx", "xlsx"),
    ("batch photos --out r --shard 9/2", "--shard"),
    ("batch photos --out r --only nice", "--only"),
    ("batch photos --out r --fail-on often", "--fail-on"),
    ("batch photos --out r --contact-sheet big", "--contact-sheet"),
    ("batch photos --out r --name-template {x}", "--name-template"),
    ("batch photos --out r --labels (", "regular expression"),
    ("batch photos --out r --engine spark", "--engine"),
    ("batch photos --out r --address here", "--engine ray"),
    ("batch photos --out r --model nosuchnet", "nosuchnet"),
    ("merge nothere", "nothere"),
    ("merge photos", "photos"),
    ("report nothere", "not a folder"),
    ("report photos", "not a run"),
    ("evaluate nothere --grid 2", "nothere"),
    ("evaluate photos --methods camm --grid 2", "Did you mean"),
    ("evaluate photos --models resnet19 --grid 2", "Did you mean"),
    ("evaluate photos --boxes nowhere", "no such file"),
    ("evaluate photos --boxes text.txt", "text.txt"),
    ("evaluate photos --masks nowhere", "no such folder"),
    ("evaluate photos --labels none", "Nothing to measure"),
    ("evaluate photos", "Nothing could be measured"),
    ("evaluate photos --preset best --grid 2", "localize"),
    ("evaluate photos --threshold 1 --grid 2", "below 1"),
    ("evaluate photos --smooth views --grid 2", "the same twice"),
    ("explain cat.jpg --smooth views", "the same twice"),
    ("evaluate photos --config text.txt", "TOML"),
    ("audit nothere", "nothere"),
    ("audit photos --method camm", "Did you mean"),
    ("audit photos --masks nowhere", "no such folder"),
    ("concepts nothere.jpg", "nothere.jpg"),
    ("concepts cat.jpg --layer a,b", "one layer"),
    ("concepts cat.jpg --alpha 7", "--alpha"),
    ("layers resnet19", "Did you mean"),
    ("layers --checkpoint gone.safetensors", "gone.safetensors"),
    ("train --data nothere", "nothere"),
    ("train", "Nothing to train on"),
    ("train --data photos", "not recognised"),
    ("train --data photos --backbone resnet19", "Did you mean"),
    ("train --data photos --config gone.toml", "gone.toml"),
    ("train --data photos --epochs 0", "--epochs"),
    ("train --data photos --device gpu", "Unknown device"),
    ("train --data photos --val 2", "validation share"),
    ("weights where resnet19", "Did you mean"),
    ("weights fetch resnet19", "Did you mean"),
    ("weights verify gone.pth", "gone.pth"),
    ("data describe nothere", "nothere"),
    ("data fetch nosuchset", "nosuchset"),
]  # fmt: skip

PROGRAM = """
import json, shlex, sys
from typer.testing import CliRunner
from camcli.cli.app import app
for line in json.load(sys.stdin):
    done = CliRunner().invoke(app, shlex.split(line))
    heavy = [name for name in ("torch", "torchvision", "timm", "openvino") if name in sys.modules]
    print(json.dumps([line, done.exit_code, " ".join(done.output.split()), heavy]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each command said and what was imported by then, from one process."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("mistakes")
    for name in ("cat.jpg", "photos/a.jpg", "photos/b.jpg", "taken/cat_gradcam.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), "red").save(folder / name)
    (folder / "text.txt").write_text("no = = toml\nno,boxes\n")
    (folder / "full").mkdir()
    (folder / "full" / "thesis.pdf").write_bytes(b"mine")
    (folder / "run").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps([line for line, _ in MISTAKES]),
        capture_output=True, text=True, check=False, cwd=folder,
        env=os.environ | {"COLUMNS": "100", "CAMCLI_DATA": str(folder / "no-data")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line: rest for line, *rest in lines}


@pytest.mark.slow
@pytest.mark.parametrize(("line", "part"), MISTAKES)
def test_a_mistake_is_told_before_torch_is_imported(told, line, part):
    code, output, heavy = told[line]
    assert code in (1, 2, 4), output
    assert part in output
    assert "mistake in camcli" not in output
    assert heavy == []


def test_a_mistake_takes_the_time_of_a_mistake(shell):
    """A guard against an import of seconds, in processor time: the machine may be busy."""
    times = []
    for _ in range(3):
        before = os.times()
        assert shell("explain", "nothere.jpg").returncode == 2
        after = os.times()
        times.append(sum(after[2:4]) - sum(before[2:4]))
    assert min(times) < 0.8


def test_the_first_line_comes_at_once(tmp_path):
    """Something is said before torch is imported, and before a second of processor time."""
    from PIL import Image

    Image.new("RGB", (40, 30), "red").save(tmp_path / "cat.jpg")
    running = subprocess.Popen(
        [sys.executable, "-m", "camcli", "explain", "cat.jpg"], cwd=tmp_path, text=True,
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert running.stderr is not None
        assert running.stderr.readline() == "Loading efficientnet_lite0 ...\n"
        maps = _maps_of(running.pid)
        assert maps is None or "libtorch" not in maps
    finally:
        running.kill()
        running.communicate()


def _maps_of(pid):
    """The libraries of a process at this moment, where the system tells."""
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return None
