"""Odd things where a file or a folder is expected: one sentence each, and no word of a mistake."""

import os
import shlex
import sys

import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes, links, bytes in names")

LINES = [
    "explain loop --out x.jpg", "explain cat.jpg --out pipe", "explain cat.jpg --out bin",
    "explain cat.jpg --out loop/x.jpg --model resnet19", "explain cat.jpg --classes pipe",
    "explain cat.jpg --classes deep.json", "explain cat.jpg --checkpoint bin",
    "explain cat.jpg --weights loop", "explain cat.jpg --weights ~nobody/x.pth",
    "batch @bin2 --out pipe", "batch photos --out loop/x --model nosuch", "batch @photos",
    "batch photos --out /dev/null", "batch photos --name-template '{'",
    "merge bin", "merge loop", "report bin", "report run", "report run run", "audit run",
    "audit photos --masks bin", "evaluate photos --boxes loop", "evaluate photos --boxes pipe.csv",
    "evaluate photos --boxes folder.csv", "evaluate photos --config bin",
    "evaluate photos --config loop", "evaluate photos --config odd.toml",
    "evaluate photos --config odd2.toml", "evaluate photos --config photos",
    "train --config bin", "train --config odd3.toml", "train --data bin", "train --data loop",
    "train --data pipe", "concepts cat.jpg --out bin", "layers --checkpoint bin", "layers loop",
    "weights verify loop.pth", "weights where ''", "data describe bin", "data describe pipe",
    "data describe loop", "data synthetic bin", "data fetch synthetic --to bin",
]  # fmt: skip


@pytest.fixture
def odd(tmp_path):
    """A folder of what a user may have by accident."""
    (tmp_path / "photos").mkdir()
    for name in ("cat.jpg", "photos/a.jpg"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / name)
    for name in ("bin", "bin2"):
        (tmp_path / name).write_bytes(bytes(range(256)) * 4)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "odd.toml").write_text('[evaluate]\ngrid = "x"\nlimit = [1]\n')
    (tmp_path / "odd2.toml").write_text("evaluate = 3\n")
    (tmp_path / "odd3.toml").write_text("data = 3\nweight_decay = inf\n")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "predictions.csv").write_bytes(b"\xef\xbb\xbfpath;label\na;b\n")
    (tmp_path / "run" / "run.json").write_text("[]")
    return tmp_path


@pytest.mark.parametrize("line", LINES)
def test_an_odd_file_is_one_sentence(camcli, odd, line):
    done = camcli(*shlex.split(line))
    assert done.exit_code in (1, 2, 3, 4), done.output
    assert "mistake in camcli" not in done.output
    assert isinstance(done.exception, SystemExit)
    assert done.stderr.strip()
