import errno
import shutil

import pytest
import torch
from PIL import Image

from camcli.cli.terminal.console import refusal
from camcli.data.sources.find import find_images
from camcli.errors import (
    CamcliError,
    ImageError,
    UsageError,
    of_image,
    out_of_memory,
    reason,
    stage,
    stage_of,
)
from camcli.models.cutting.scores.asking import _answer

TORCH = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"


def raised(error, *stages):
    try:
        if not stages:
            raise error
        with stage(stages[0]):
            raise raised(error, *stages[1:])
    except Exception as found:
        return found


def test_the_innermost_stage_counts():
    assert stage_of(raised(ValueError())) is None
    assert stage_of(raised(ValueError(), "network", "map")) == "map"


@pytest.mark.parametrize(
    ("error", "stages", "told"),
    [
        (ValueError("a\nb"), ["draw"], "draw: x.jpg: ValueError: a."),
        (MemoryError(), ["decode"], "decode: x.jpg: it takes more memory than there is."),
        (OSError(errno.EISDIR, "Is a directory"), ["write"], "write: x.jpg: Is a directory."),
        (ImageError("x.jpg: cut short."), ["decode"], "x.jpg: cut short."),
        (ImageError("x.jpg: too wide."), ["draw"], "draw: x.jpg: too wide."),
        (KeyError(), ["numbers"], "numbers: x.jpg: KeyError."),
        (RuntimeError("y" * 999), ["map"], "map: x.jpg: RuntimeError: " + "y" * 300 + " ...."),
    ],
)
def test_what_an_images_row_says(error, stages, told):
    assert str(of_image(raised(error, *stages), "x.jpg")) == told


@pytest.mark.parametrize(
    "error", [UsageError("no"), CamcliError("full"), OSError(errno.EMFILE, "Too many open files")]
)
def test_what_concerns_every_image_is_none_of_its_rows(error):
    with pytest.raises(CamcliError, match=r"no|full|ulimit -n") as found:
        of_image(raised(error, "read"), "x.jpg")
    assert not isinstance(found.value, ImageError)


def test_too_little_memory_is_told_as_that_and_not_as_a_wrong_size():
    assert out_of_memory(RuntimeError(TORCH))
    assert not out_of_memory(ValueError("a band that ran out of memory lane"))

    class Network(torch.nn.Module):
        def forward(self, x):
            raise RuntimeError(TORCH)

    with pytest.raises(MemoryError) as found:
        _answer(Network(), torch.zeros(1, 3, 8, 8))
    for error in (
        found.value,
        RuntimeError(TORCH),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ):
        assert "ulimit -v" in refusal(error)


def test_a_folder_that_was_removed_is_told_as_that(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.move(tmp_path / "a.png", folder)
    source = find_images(folder)
    shutil.rmtree(folder)
    with pytest.raises(UsageError, match="removed or renamed") as found:
        list(source)
    assert "permissions" not in str(found.value)


def test_reasons_are_one_short_line():
    assert reason(ValueError(" a. \n b")) == "ValueError: a"
