"""What pictures are written as: each kind whole, marked as ours, named, and found by the page."""

import io

import numpy as np
import pytest
from PIL import Image

from camcli.batch.run_files.overlay_names import Namer
from camcli.data.decode.images import decode
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, UsageError
from camcli.render.picture_files import KINDS, SUFFIXES, is_made_here
from camcli.render.report.page.data import USUAL_OVERLAYS
from camcli.render.style import Style
from camcli.result import Result

SMOOTH = np.linspace(0, 255, 40 * 60 * 3).reshape(40, 60, 3).astype(np.uint8)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_whole_of_its_kind_and_known_again(tmp_path, name):
    kind = KINDS[name]
    data = kind.encode(SMOOTH, 95)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format.lower() == name
        off = np.abs(np.asarray(image.convert("RGB")).astype(int) - SMOOTH)
    assert off.mean() < (4 if kind.lossy else 1e-9)
    assert np.array_equal(decode(data, "x").shape, SMOOTH.shape)
    path = tmp_path / f"x{kind.suffix}"
    path.write_bytes(data)
    assert is_made_here(str(path))
    assert len(data) > len(kind.encode(SMOOTH, 20)) or not kind.lossy
    Image.fromarray(SMOOTH).save(path)
    assert not is_made_here(str(path))
    with pytest.raises(ImageError, match=name.upper()):
        kind.encode(np.zeros((1, kind.side + 1, 3), np.uint8), 90)


@pytest.mark.parametrize("name", KINDS)
def test_names_have_its_suffix_once_and_none_is_given_twice(tmp_path, name):
    suffix = KINDS[name].suffix
    rels = [f"a{s}" for s in ("", ".jpg", ".png", ".webp", ".png.png", ".jpg.png", ".tiff")]
    for rel in rels:
        (tmp_path / rel).touch()
    namer = Namer(suffix=suffix)
    names = [namer.name(Result(ref=ImageRef(tmp_path / rel, rel))) for rel in rels]
    assert len(set(names)) == len(names)
    assert all(each.endswith(suffix) for each in names)
    assert f"a{suffix}" in names
    assert Namer("{stem}", suffix=suffix).name(Result(ref=ImageRef(tmp_path / "b", "b"))) == (
        f"b{suffix}"
    )
    assert ("overlays/", suffix) in USUAL_OVERLAYS


def test_what_makes_no_sense_is_refused():
    assert Style().kind.suffix == ".jpg"
    with pytest.raises(UsageError, match=f"one of {', '.join(KINDS)}, not 'gif'"):
        Style(overlay_format="gif")
    with pytest.raises(UsageError, match="jpeg and webp: png loses nothing"):
        Style(overlay_format="png", quality=80)
    Style(overlay_format="webp", quality=80)
    assert {".jpg", ".jpeg", ".png", ".webp"} <= set(SUFFIXES)
    assert {kind.name for kind in SUFFIXES.values()} == set(KINDS)
