"""Files that an ONNX network names, in the order that no exporter writes them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from camcli.errors import CamcliError
from camcli.models.forms.graph.metadata import pixels
from camcli.models.forms.graph.onnx_file import about

_KEY, _VALUE = b"\x0a\x08location", b"\x12\x08../w.bin"


def _file(path: Path, entry: bytes) -> Path:
    """A model of one tensor in a graph, which lies in another file."""

    def field(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    graph = field(5, field(13, entry))
    path.write_bytes(b"\x08\x08" + field(7, graph))
    return path


@pytest.mark.parametrize(
    "entry",
    [_KEY + _VALUE, _VALUE + _KEY, b"\x0a\x88\x00location" + _VALUE],
)
def test_a_file_elsewhere_is_refused_in_whatever_order_it_is_named(
    entry: bytes, tmp_path: Path
) -> None:
    with pytest.raises(CamcliError, match=r"it is not\s+opened"):
        about(_file(tmp_path / "a.onnx", entry))


def test_sizes_and_scales_that_cannot_be_are_not_read() -> None:
    assert pixels({"imgsz": "1e308"}).size is None
    assert pixels({"scale_values": "0 0 0"}).scale is None
