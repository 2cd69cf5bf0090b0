"""Standard streams that are closed, full, broken, or in an encoding that has few letters."""

import io
import json
import os
import subprocess
import sys

import pytest

from camcli.cli.terminal import console, streams

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell's redirections")


def sh(line, cwd, **env):
    """A line of the shell in which $camcli is the program; in an ASCII-free environment."""
    kept = {name: value for name, value in os.environ.items() if name not in env}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=cwd, capture_output=True, check=False,
        env=kept | {k: v for k, v in env.items() if v is not None}
        | {"camcli": f"{sys.executable} -m camcli"},
    )  # fmt: skip


def well(done):
    """No traceback, no word of a mistake of ours, in whatever came out."""
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert "Traceback" not in text, text
    assert "mistake in camcli" not in text, text
    assert "Exception ignored" not in text, text
    return text


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$camcli methods 2>&-", 0),
        ("$camcli methods >&-", 0),
        ("$camcli methods <&- >&- 2>&-", 0),
        ("$camcli explain gone.jpg 2>/dev/full", 2),
        ("$camcli batch - --out r <&-", 2),
        ("$camcli methods --json >/dev/full", 1),
        ("$camcli --help >/dev/full", 1),
        ("$camcli methods --json | head -c 5", 0),
        ("$camcli --help | true", 0),
        ("ulimit -n 64; $camcli methods", 0),
    ],
)
def test_whatever_the_streams_are(tmp_path, line, code):
    done = sh(line, tmp_path)
    assert done.returncode == code, done.stderr
    text = well(done)
    if "2>" not in line and code == 1:
        assert "Standard output cannot be written: No space left on device" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"COLUMNS": "0", "HOME": None, "XDG_CACHE_HOME": None},
        {"COLUMNS": "20", "TERM": "dumb", "HOME": "/nonexistent"},
        {"NO_COLOR": "1", "FORCE_COLOR": None, "TMPDIR": "/nonexistent"},
    ],
    ids=str,
)
def test_whatever_the_environment_is(tmp_path, env):
    done = sh("$camcli methods && $camcli weights where gone", tmp_path, **env)
    assert done.returncode == 2
    text = well(done)
    assert done.stdout.strip(), "nothing was printed"
    assert "gradcam" in text.replace("\n", "").replace(" ", "")


def test_a_folder_that_is_gone(tmp_path):
    done = sh("mkdir gone; cd gone; rmdir ../gone; $camcli batch . --out r", tmp_path)
    assert done.returncode in (1, 2)
    well(done)


class Full(io.RawIOBase):
    """A disk without room."""

    def __init__(self, number):
        self.number = number
        self.full = True

    def writable(self):
        return True

    def write(self, data):
        if not self.full:
            return len(data)
        raise OSError(self.number, os.strerror(self.number))


@pytest.fixture
def quiet(monkeypatch):
    """`silence` would close the streams of the tests."""
    monkeypatch.setattr(streams, "silence", lambda number: None)


@pytest.mark.parametrize(("number", "kind"), [(28, streams.UnwritableError),
                                              (32, streams.ReaderGoneError)])  # fmt: skip
def test_what_is_wrong_with_standard_output_is_told(quiet, number, kind):
    disk = Full(number)
    out = streams._Output(io.BufferedWriter(disk), encoding="utf-8")
    out.write("text")
    with pytest.raises(kind):
        out.flush()
    disk.full = False  # or Python would complain when it closes the stream


def test_messages_that_nobody_can_read_are_lost(quiet):
    disk = Full(28)
    err = streams._Messages(io.BufferedWriter(disk), encoding="utf-8", line_buffering=True)
    assert err.write("text\n") == 5
    err.flush()
    disk.full = False


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("caf\udce9.jpg", "utf-8", b"caf\xe9.jpg"),
        ("café ━ ×", "ascii", b"caf\\xe9 - x"),
        ("Σ", "latin-1", b"\\u03a3"),
        ("\ud800", "utf-8", b"\\ud800"),
    ],
)
def test_names_keep_their_bytes_and_signs_get_plain(text, encoding, expected):
    streams.tolerated("", "ascii")  # registers the handler
    assert text.encode(encoding, "camcli.tolerant") == expected


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_is_valid_whatever_is_in_it(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    nan, inf = float("nan"), float("inf")
    value = {"path": "caf\udce9 ünï 漢.jpg", "prob": nan, "x": [inf, 1.5], "t": (1,)}
    console.emit_json(value)
    text = raw.getvalue().decode(encoding)

    def refuse(word):
        raise AssertionError(word)

    found = json.loads(text, parse_constant=refuse)
    assert found == {"path": "caf\udce9 ünï 漢.jpg", "prob": None, "x": [None, 1.5], "t": [1]}


def test_say_and_fail_on_a_stream_that_is_not_ours(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))
    console.say("caf\udce9 漢")
    console.warn("é")
    assert raw.getvalue() == b"caf\\xe9 \\u6f22\nwarning: \\xe9\n"
    monkeypatch.setattr(sys, "stderr", None)
    console.say("nobody")
    console.warn("nobody")


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (OSError(24, "Too many open files", "a.jpg"), "ulimit -n"),
        (OSError(28, "No space left on device"), "make room"),
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied"),
        (MemoryError(), "not enough memory"),
        (ImportError("no module", name="cv2"), "Install camcli anew"),
        (ValueError("x"), None),
        (ImportError("x", name="camcli.x"), None),
    ],
)
def test_what_the_machine_refuses_is_a_sentence(error, part):
    said = console.refusal(error)
    assert said is None if part is None else part in said
