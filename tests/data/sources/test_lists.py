"""What is named in the place of photographs, and is a list or a table."""

import pytest

from camcli.data.sources.find import find_images
from camcli.errors import UsageError


@pytest.mark.parametrize("name", ["labels.csv", "paths.txt", "boxes.json"])
def test_a_table_in_the_place_of_photographs_is_told_as_one(tmp_path, name):
    table = tmp_path / name
    table.write_text("path,label\ncat.jpg,cat\n")
    with pytest.raises(UsageError, match=f"table or a list.*--labels .*{name}"):
        find_images(table)
    # What is not there is told as that, and a folder may be called so.
    table.unlink()
    table.mkdir()
    with pytest.raises(UsageError, match="No images"):
        find_images(table)
