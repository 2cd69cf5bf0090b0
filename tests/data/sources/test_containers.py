"""A container is one object: what walks, counts, labels and decodes asks the registry."""

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from camcli.data.decode.images import load_image
from camcli.data.sources.containers import registry
from camcli.data.sources.containers.member import Container, Entry
from camcli.data.sources.containers.registry import CONTAINERS, container_of, without_suffix
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError, ImageError


@dataclass(frozen=True)
class Mirrored:
    """Bytes that are stored backwards."""

    def __call__(self, blob):
        return blob.stored()[::-1]


def entries(file, passed):
    at = 0
    for line in iter(file.readline, b"END\n"):
        if not line:
            raise CamcliError("the roll is cut short.")
        name, size = line.decode().split()
        at = file.tell()
        if not passed.passes(name):
            label = file.read(int(size))[::-1] if name.endswith(".cls") else None
            yield Entry(name, at, int(size), label=label, reader=Mirrored())
        file.seek(at + int(size))


ROLL = Container(
    name="roll", suffixes=(".roll",), called="roll", what="a roll", marks=((0, b"cat"),),
    entries=entries,
)  # fmt: skip


@pytest.fixture
def roll(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "CONTAINERS", (*CONTAINERS, ROLL))
    Image.new("RGB", (5, 4), "lime").save(tmp_path / "x.png")
    picture = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").unlink()
    data = b""
    for name, content in (("cat/1.png", picture), ("cat/1.cls", b"tabby"), (".2.png", picture),
                          ("3.png", picture[:40])):  # fmt: skip
        data += f"{name} {len(content)}\n".encode() + content[::-1]
    (tmp_path / "p.roll").write_bytes(data + b"END\n")
    return tmp_path / "p.roll"


def test_a_new_entry_is_walked_labelled_read_and_told(roll):
    for spec in (roll, roll.parent, str(roll.parent / "*.roll")):
        source = find_images(spec)
        refs = list(source)
        assert [(ref.rel, ref.label) for ref in refs] == [
            ("p/cat/1.png", "tabby"),
            ("p/3.png", None),
        ]
        assert source.count() == 2
        assert "1 hidden file in a roll" in source.left_out.note()
    assert np.array_equal(load_image(refs[0])[0, 0], [0, 255, 0])
    with pytest.raises(ImageError, match=r"p\.roll/3\.png: "):
        load_image(refs[1])
    roll.write_bytes(roll.read_bytes()[:-4])
    (*_, broken) = find_images(roll)
    with pytest.raises(ImageError, match="the roll is cut short"):
        load_image(broken)
    roll.rename(roll.with_suffix(".png"))
    (ref,) = find_images(roll.with_suffix(".png"))
    with pytest.raises(ImageError, match=r"a roll; name it \.roll and its pictures are read"):
        load_image(ref)


def test_suffixes_belong_to_one_kind_in_any_case():
    suffixes = [suffix for kind in CONTAINERS for suffix in kind.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    for kind in CONTAINERS:
        for suffix in kind.suffixes:
            assert container_of(f"a/b{suffix.upper()}") is kind
            assert without_suffix(f"a/b{suffix.upper()}") == "a/b"
    assert container_of("photo.jpg") is None
    assert without_suffix("photo.jpg") == "photo.jpg"
