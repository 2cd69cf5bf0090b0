from __future__ import annotations

import hashlib
import http.server
import pickle
import re
import socket
import threading
import time
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.models.weights.files import read_state
from camcli.models.weights.places import (
    WeightFile,
    expected_sha256,
    fetch,
    find,
    hash_in_name,
    is_offline,
    locate,
    search_dirs,
)
from camcli.net import download as download_module
from camcli.net.download import download, present

BODY = bytes(range(256)) * 20_000  # 5 MB
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    monkeypatch.setenv("CAMCLI_WEIGHTS_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("CAMCLI_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    torch.hub.set_dir(str(tmp_path / "torch" / "hub"))
    yield
    torch.hub._hub_dir = None


class Server(http.server.ThreadingHTTPServer):
    """Serves BODY; `cut` ends every answer after so many bytes; `ranges` off ignores Range."""

    daemon_threads = True
    cut: int | None = None
    ranges = True
    tag: str | None = None
    stall = 0.0

    def __init__(self):
        self.asked: list[str | None] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args):
        pass

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        time.sleep(self.server.stall)
        if self.path == "/gone":
            self.send_error(404, "Not Found")
            return
        if self.path == "/hub":
            self.send_response(302)
            self.send_header("Location", "/body")
            self.send_header("X-Linked-Etag", f'"{self.server.tag}"')
            self.end_headers()
            return
        start = 0
        if wanted and self.server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(BODY):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        else:
            self.send_response(200)
        rest = BODY[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.cut])


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def test_download_arrives_whole_and_leaves_nothing_else(server, tmp_path, capsys):
    path = download(
        f"{server.url}/body", tmp_path / "a" / "b" / "body.pth", sha256=SHA[:8], pause=0
    )
    assert path.read_bytes() == BODY
    assert [each.name for each in path.parent.iterdir()] == ["body.pth"]
    assert capsys.readouterr().out == ""


def test_what_is_here_is_not_asked_for(server, tmp_path):
    (tmp_path / "body.pth").write_bytes(b"mine")
    assert download(f"{server.url}/body", tmp_path / "body.pth", pause=0).read_bytes() == b"mine"
    assert server.asked == []


def test_an_interrupted_download_is_continued(server, tmp_path):
    (tmp_path / "body.pth.part").write_bytes(BODY[:1_500_000])
    server.cut = 0
    with pytest.raises(UnavailableError, match="1,500,000 bytes are kept"):
        download(f"{server.url}/body", tmp_path / "body.pth", sha256=SHA, pause=0, tries=2)
    assert not (tmp_path / "body.pth").exists()
    assert (tmp_path / "body.pth.part").stat().st_size == 1_500_000
    server.cut = None
    assert download(f"{server.url}/body", tmp_path / "body.pth", sha256=SHA).read_bytes() == BODY
    assert server.asked == ["bytes=1500000-"] * 3


def test_a_server_without_ranges_sends_it_all_again(server, tmp_path):
    (tmp_path / "body.pth.part").write_bytes(b"old" * 1000)
    server.ranges = False
    assert download(f"{server.url}/body", tmp_path / "body.pth", sha256=SHA).read_bytes() == BODY


def test_a_part_that_was_complete_already(server, tmp_path):
    (tmp_path / "body.pth.part").write_bytes(BODY)
    assert download(f"{server.url}/body", tmp_path / "body.pth", sha256=SHA).read_bytes() == BODY


def test_wrong_bytes_are_not_kept(server, tmp_path):
    with pytest.raises(UnavailableError, match="other bytes than expected"):
        download(f"{server.url}/body", tmp_path / "body.pth", sha256="deadbeef", pause=0)
    assert list(tmp_path.iterdir()) == []


def test_a_stale_part_is_dropped_with_the_wrong_digest(server, tmp_path):
    (tmp_path / "body.pth.part").write_bytes(b"x" * 1000)
    with pytest.raises(UnavailableError, match="other bytes"):
        download(f"{server.url}/body", tmp_path / "body.pth", sha256=SHA, pause=0)
    assert download(f"{server.url}/body", tmp_path / "body.pth", sha256=SHA).read_bytes() == BODY


def test_not_found(server, tmp_path):
    with pytest.raises(UnavailableError, match="404"):
        download(f"{server.url}/gone", tmp_path / "gone.pth", pause=0)
    assert list(tmp_path.iterdir()) == []


def test_the_digest_that_the_hub_tells_is_checked_and_joins_the_name(server, tmp_path):
    server.tag = SHA
    path = download(f"{server.url}/hub", tmp_path / "timm--x.a1.safetensors", pause=0)
    assert path.name == f"timm--x.a1-{SHA[:8]}.safetensors"
    assert present(tmp_path / "timm--x.a1.safetensors") == path
    assert present(tmp_path / "timm--x.a.safetensors") is None
    server.tag = "0" * 64
    with pytest.raises(UnavailableError, match="other bytes"):
        download(f"{server.url}/hub", tmp_path / "new" / "timm--x.a1.safetensors", pause=0)


def test_two_at_once_fetch_once(server, tmp_path):
    server.stall = 0.2
    paths: list[Path] = []

    def work():
        paths.append(download(f"{server.url}/body", tmp_path / "body.pth", sha256=SHA, pause=0))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert paths == [tmp_path / "body.pth"] * 4
    assert paths[0].read_bytes() == BODY
    assert len(server.asked) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_silent_server_is_given_up(monkeypatch, server, tmp_path):
    monkeypatch.setattr(download_module, "CONNECT_SECONDS", 0.3)
    server.stall = 3.0
    start = time.monotonic()
    with pytest.raises(UnavailableError, match="no answer within"):
        download(f"{server.url}/body", tmp_path / "body.pth", pause=0)
    assert time.monotonic() - start < 2


def test_no_server_at_all(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(UnavailableError, match="check the network"):
        download(f"http://127.0.0.1:{port}/body", tmp_path / "body.pth", pause=0)


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CamcliError, match="CAMCLI_WEIGHTS_DIR"):
        fetch(weight(f"{server.url}/body"), tmp_path / "file" / "sub")


def weight(url: str = "http://127.0.0.1:9/x", name: str = "net-12345678.pth") -> WeightFile:
    return WeightFile(model="net", filename=name, url=url)


def test_order_of_the_folders(monkeypatch, tmp_path):
    own, cache = search_dirs()
    assert own == tmp_path / "own"
    assert cache == tmp_path / "torch" / "hub" / "checkpoints"
    for folder in (cache, own):
        folder.mkdir(parents=True)
        (folder / "net-12345678.pth").write_bytes(b"")
        assert find(weight()) == folder / "net-12345678.pth"
    monkeypatch.delenv("CAMCLI_WEIGHTS_DIR")
    assert find(weight()) == cache / "net-12345678.pth"


def test_the_hugging_face_cache_is_searched_and_its_blobs_name_the_digest(monkeypatch, tmp_path):
    blob = tmp_path / "blobs" / SHA
    blob.parent.mkdir()
    blob.write_bytes(BODY)
    link = tmp_path / "snapshots" / "model.safetensors"
    link.parent.mkdir()
    link.symlink_to(blob)
    asked = []
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda *a: asked.append(a) or str(link)
    )
    file = WeightFile("timm:x", "timm--x.safetensors", "", hub=("timm/x", "model.safetensors"))
    assert find(file) == link
    assert asked == [("timm/x", "model.safetensors")]
    assert expected_sha256(file, link) == SHA


def test_offline_names_places_and_ways_out(monkeypatch, server, tmp_path):
    with pytest.raises(UnavailableError) as error:
        locate(weight(f"{server.url}/body"), offline=True, also_here=["V1"])
    text = str(error.value)
    for part in (str(tmp_path / "own"), "checkpoints", server.url, "--weights FILE", "V1"):
        assert part in text
    assert "efficientnet_lite0" in text
    monkeypatch.setenv("CAMCLI_OFFLINE", "1")
    with pytest.raises(UnavailableError):
        locate(weight(f"{server.url}/body"))
    assert server.asked == []


@pytest.mark.parametrize(("value", "offline"), [("", False), ("0", False), ("1", True)])
def test_offline_variable(monkeypatch, value, offline):
    monkeypatch.setenv("CAMCLI_OFFLINE", value)
    assert is_offline() is offline
    assert is_offline(True)


def test_locate_fetches_into_the_first_folder(server, tmp_path):
    file = weight(f"{server.url}/body", f"net-{SHA[:8]}.pth")
    path, expected = locate(file)
    assert path == tmp_path / "own" / f"net-{SHA[:8]}.pth"
    assert expected == SHA[:8]
    assert fetch(file, tmp_path / "else").parent == tmp_path / "else"


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("resnet18-f37072fd.pth", "f37072fd"),
        ("mnasnet0.5_top1_67.823-3ffadce67e.pth", "3ffadce67e"),
        ("my-model.pth", None),
        ("resnet18.pth", None),
    ],
)
def test_hash_in_name(name, digits):
    assert hash_in_name(name) == digits


STATE = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.zeros(2)}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": s},
        lambda s: {"ema": {"shadow": s}, "steps": torch.tensor(3)},
    ],
    ids=["plain", "state_dict", "model", "nested"],
)
def test_read_state_unwraps(tmp_path, wrap):
    path = tmp_path / "w.pth"
    torch.save(wrap(STATE), path)
    state, digest = read_state(path)
    assert state.keys() == STATE.keys()
    assert torch.equal(state["fc.weight"], STATE["fc.weight"])
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_read_safetensors(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    assert torch.equal(read_state(tmp_path / "w.safetensors")[0]["fc.weight"], STATE["fc.weight"])


def one_sentence(error: pytest.ExceptionInfo[CamcliError], path: Path) -> str:
    text = str(error.value)
    assert str(path) in text
    assert text.count("\n") <= 1  # what it is, and how to open or export it
    assert "Traceback" not in text
    assert len(text) < 500 + len(str(path))
    return text


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("damage", ["empty", "half", "text", "zeros", "zip"])
def test_damaged_files_are_one_sentence(tmp_path, suffix, damage):
    path = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save(STATE, path)
    else:
        save_file(STATE, path)
    whole = path.read_bytes()
    if damage == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("hello.txt", "hello")
    else:
        path.write_bytes(
            {"empty": b"", "half": whole[: len(whole) // 2], "text": b"hi", "zeros": bytes(999)}[
                damage
            ]
        )
    with pytest.raises(CamcliError) as error:
        read_state(path)
    one_sentence(error, path)


class Evil:
    pass


def test_pickles_are_not_run(tmp_path, monkeypatch):
    mark = tmp_path / "ran"
    monkeypatch.setattr(Evil, "__reduce__", lambda self: (Path.touch, (mark,)))
    for save in (lambda o, p: torch.save(o, p), lambda o, p: p.write_bytes(pickle.dumps(o))):
        path = tmp_path / "evil.pth"
        save({"model": Evil()}, path)
        with pytest.raises(CamcliError) as error:
            read_state(path)
        one_sentence(error, path)
    assert not mark.exists()


def test_whole_models_are_refused_with_the_remedy(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(CamcliError) as error:
        read_state(path)
    assert "state_dict()" in one_sentence(error, path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(3)])
def test_files_without_named_tensors(tmp_path, content):
    path = tmp_path / "w.pth"
    torch.save(content, path)
    with pytest.raises(CamcliError) as error:
        read_state(path)
    assert "state_dict()" in one_sentence(error, path)


def test_the_digest_is_checked(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(STATE, path)
    with pytest.raises(CamcliError, match="is damaged"):
        read_state(path, "00000000")


def test_no_such_file(tmp_path):
    with pytest.raises(UsageError, match="no weight file"):
        read_state(tmp_path / "gone.pth")
