"""A run over containers is read again: its photographs are found where they lie."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from camcli.data.decode.images import load_image
from camcli.data.sources.containers.lookup import ref_again
from camcli.data.sources.find import find_images
from camcli.errors import ImageError
from camcli.ours import Inside


def png(shade):
    out = io.BytesIO()
    Image.new("RGB", (4, 3), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "in"
    (root / "deep").mkdir(parents=True)
    with zipfile.ZipFile(root / "deep" / "p.ZIP", "w") as archive:
        archive.writestr("cat/1.png", png(1))
        archive.writestr("2.png", png(2))
    with tarfile.open(root / "s.tar", "w") as archive:
        info = tarfile.TarInfo("3.png")
        info.size = len(png(3))
        archive.addfile(info, io.BytesIO(png(3)))
    return root


def test_each_image_of_a_source_is_found_again_by_its_relative_path(source):
    refs = list(find_images(source))
    assert len(refs) == 3
    for ref in refs:
        again = ref_again(Inside(source), source, ref.rel, "cat")
        assert (again.path, again.rel, again.label) == (ref.path, ref.rel, "cat")
        assert np.array_equal(load_image(again), load_image(ref))


def test_files_come_first_and_what_is_not_there_is_said_as_ever(source, tmp_path):
    (source / "s").mkdir()
    (source / "s" / "3.png").write_bytes(png(9))
    assert load_image(ref_again(Inside(source), source, "s/3.png"))[0, 0, 0] == 9
    with pytest.raises(ImageError, match="no such file"):
        load_image(ref_again(Inside(source), source, "deep/p/none.png"))
    (tmp_path / "out.zip").write_bytes((source / "deep" / "p.ZIP").read_bytes())
    (source / "link.zip").symlink_to(tmp_path / "out.zip")  # leads out of the source
    with pytest.raises(ImageError, match="no such file"):
        load_image(ref_again(Inside(source), source, "link/2.png"))
