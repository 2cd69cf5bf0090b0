"""A file of settings that is nested without end is refused, and not taken for a mistake here."""

from __future__ import annotations

from pathlib import Path

import pytest

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_words import applied
from camcli.errors import UsageError


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.toml", "size" + ".a" * 20_000 + " = 1\n"), ("a.json", '{"size":' * 200_000)],
)
def test_endless_nesting_is_refused(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=name):
        applied(str(tmp_path / name), Preprocess())
