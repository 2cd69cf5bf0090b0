"""Decoders that crash, hang, eat memory or talk nonsense cost one picture."""

import io
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camcli.data.decode import isolate
from camcli.data.decode.images import Enough, load_picture
from camcli.data.decode.isolate import Isolated
from camcli.errors import CamcliError, ImageError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")

# What a crafted file makes of a decoder, by the file's first word.
EVIL = """
import os, signal, time
from pathlib import Path
from camcli.data.decode import isolate
from camcli.data.decode.images import Picture, decode_picture

def decode(data, name, enough):
    word = data[:5]
    if word == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == b"abort":
        os.abort()
    if word == b"leave":
        os._exit(0)
    if word == b"loops":
        while True:
            pass
    if word == b"sleep":
        time.sleep(1000)
    if word == b"eats!":
        eaten = []
        while True:
            eaten.append(bytes(1 << 26))
    if word == b"lies!":
        return Picture(decode_picture(data[5:], name).rgb, 1, 1)
    if word == b"talks":
        os.write(1, b"libfoo: warning: odd file")
        data = data[5:]
    if word == b"once!":
        seen = Path(name + ".seen")
        if not seen.exists():
            seen.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        data = data[5:]
    return decode_picture(data, name, enough)

def serve(seconds, clock, memory):
    isolate.serve(seconds, clock, memory, decode)
"""


@pytest.fixture
def jpeg():
    out = io.BytesIO()
    Image.fromarray(np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def evil(tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "evil_decoder.py").write_text(EVIL)
    monkeypatch.syspath_prepend(tmp_path / "code")

    def make(**kw):
        return Isolated(serve="evil_decoder:serve", **kw)

    return make


@pytest.mark.slow
def test_the_same_pixels_and_the_same_errors(tmp_path, jpeg):
    big = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).resize((700, 500)).save(big, "PNG")
    contents = {
        "a.jpg": jpeg, "big.png": big.getvalue(), "empty.jpg": b"", "half.jpg": jpeg[:300],
        "text.jpg": b"hello", "new\nline.jpg": jpeg[:300], os.fsdecode(b"\xff.jpg"): b"no",
    }  # fmt: skip
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    with Isolated() as load:
        for name in (*contents, "gone.jpg"):
            path = tmp_path / name
            outcomes = [outcome(load, path), outcome(load_picture, path)]
            assert outcomes[0] == outcomes[1]


def outcome(load, path):
    """The picture as plain values, or the message."""
    try:
        rgb, width, height = load(path)
    except ImageError as error:
        return str(error)
    return rgb.tolist(), rgb.dtype, rgb.flags["C_CONTIGUOUS"], rgb.flags["WRITEABLE"], width, height


def test_as_many_pixels_as_are_enough(tmp_path, jpeg):
    (tmp_path / "a.jpg").write_bytes(jpeg)
    with Isolated(Enough(20, 0)) as load:
        rgb, width, height = load(tmp_path / "a.jpg")
    assert (rgb.shape, width, height) == ((24, 32, 3), 64, 48)


@pytest.mark.parametrize(
    ("word", "reason"),
    [("crash", "failed on it twice (SIGSEGV)"), ("abort", "failed on it twice (SIGABRT)"),
     ("leave", "failed on it twice (exit status 0)"), ("lies!", "makes no sense"),
     ("loops", "more than 1 seconds"),
     pytest.param("eats!", "failed on it twice", marks=pytest.mark.skipif(
         sys.platform != "linux", reason="others let a process map what it likes"))],
)  # fmt: skip
def test_a_file_that_kills_its_decoder_is_one_image_error(evil, tmp_path, jpeg, word, reason):
    (tmp_path / "good.jpg").write_bytes(jpeg)
    (tmp_path / "bad.jpg").write_bytes(word.encode() + jpeg)
    with evil(seconds=1, memory=1 << 30) as load:
        assert load(tmp_path / "good.jpg").rgb.shape == (48, 64, 3)
        with pytest.raises(ImageError) as caught:
            load(tmp_path / "bad.jpg")
        assert reason in str(caught.value)
        assert str(caught.value).startswith(f"{tmp_path / 'bad.jpg'}: ")
        assert load(tmp_path / "good.jpg").rgb.shape == (48, 64, 3)


def test_a_decoder_that_sleeps_is_woken_for_good(evil, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"sleep")
    with evil(clock=0.2) as load, pytest.raises(ImageError, match="no answer in time"):
        load(tmp_path / "bad.jpg")


def test_what_a_library_prints_does_no_harm(evil, tmp_path, jpeg):
    (tmp_path / "good.jpg").write_bytes(b"talks" + jpeg)
    with evil() as load:
        assert load(tmp_path / "good.jpg").rgb.shape == (48, 64, 3)


def test_a_good_file_whose_process_is_killed_is_read_again(evil, tmp_path, jpeg):
    (tmp_path / "good.jpg").write_bytes(b"once!" + jpeg)
    with evil() as load:
        assert load(tmp_path / "good.jpg").rgb.shape == (48, 64, 3)
    assert (tmp_path / "good.jpg.seen").exists()


def test_threads_share_processes_and_closing_ends_them(tmp_path, jpeg, monkeypatch):
    made, start = [], isolate._Process

    def spy(command):
        made.append(start(command))
        return made[-1]

    monkeypatch.setattr(isolate, "_Process", spy)
    paths = [tmp_path / f"{n}.jpg" for n in range(40)]
    for path in paths:
        path.write_bytes(jpeg)
    with Isolated() as load:
        with ThreadPoolExecutor(2) as pool:
            shapes = [picture.rgb.shape for picture in pool.map(load, paths)]
        assert shapes == [(48, 64, 3)] * 40
        assert 1 <= len(made) <= 2
        os.kill(made[0]._process.pid, signal.SIGKILL)  # while it is idle
        assert load(paths[0]).rgb.shape == (48, 64, 3)
    assert all(process._process.poll() is not None for process in made)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_a_killed_program_leaves_no_process_behind(tmp_path, jpeg):
    (tmp_path / "a.jpg").write_bytes(jpeg)
    program = """
import sys, time
from pathlib import Path
from camcli.data.decode.isolate import Isolated
load = Isolated()
load(Path(sys.argv[1]))
print(load._idle.get()._process.pid, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", program, str(tmp_path / "a.jpg")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
    deadline = time.monotonic() + 300
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(child)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_process_that_cannot_start_ends_the_run_with_a_reason(tmp_path, jpeg):
    (tmp_path / "a.jpg").write_bytes(jpeg)
    with (
        Isolated(serve="camcli.data.decode.isolate:nothing") as load,
        pytest.raises(CamcliError, match="cannot be started"),
    ):
        load(tmp_path / "a.jpg")
