"""Runs whose overlays are PNG or WebP."""

import json

import pytest
from PIL import Image

from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.render.picture_files import KINDS
from camcli.render.style import Style


@pytest.mark.parametrize("name", ["png", "webp"])
def test_a_run_writes_it_and_resumes_only_as_it(bundled, folder, tmp_path, name):
    def run(take=None, resume=False, style=None):
        one = Run(
            find_images(folder / "a"), bundled, make_explanation(bundled),
            RunDirectory(tmp_path / "run"), style or Style(overlay_format=name),
        )  # fmt: skip
        one.prepare(resume=resume)
        stream = iter(one)
        found = [next(stream)] if take else list(stream)
        stream.close()
        return found

    run(take=1)
    with pytest.raises(UsageError, match=rf"overlay_format {name} and overlay_format jpeg"):
        run(resume=True, style=Style())
    run(resume=True)
    files = sorted((tmp_path / "run/overlays").iterdir())
    assert files
    assert {path.suffix for path in files} == {KINDS[name].suffix}
    for path in files:
        with Image.open(path) as image:
            assert image.format.lower() == name
    info = json.loads((tmp_path / "run/run.json").read_text())
    assert info["config"]["style"]["overlay_format"] == name
