"""A file of annotations where photographs are to be named: it is said whose it is, and what for."""

import json

import pytest

from camcli.data.sources.lists import check_no_table
from camcli.errors import UsageError


@pytest.mark.parametrize(
    ("name", "content", "form", "where"),
    [
        ("a.json", {"version": "5", "shapes": [], "imagePath": "a.jpg"}, "LabelMe", "VOC .xml"),
        ("a.json", {"_via_settings": {}, "_via_img_metadata": {}}, "VIA", "VOC .xml"),
        ("a.json", {"a.jpg1": {"regions": [{"shape_attributes": {}}]}}, "VIA", "VOC .xml"),
        ("a.json", {"images": [], "annotations": []}, "COCO", "evaluate PHOTOS --boxes"),
        ("a.txt", "0 0.5 0.5 .2 0.1\n3 0.1 0.25 1 1\n", "YOLO", "VOC .xml"),
        ("a.json", {"a.jpg": "cat"}, "", "--labels"),
        ("a.txt", "a.jpg\nb.jpg\n", "", "--labels"),
        ("a.csv", "path,label\na.jpg,cat\n", "", "--labels"),
    ],
)
def test_it_is_said_what_the_file_is(tmp_path, name, content, form, where):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UsageError) as told:
        check_no_table(str(path))
    assert where in str(told.value)
    assert ("annotation file of" in str(told.value)) == bool(form)
    assert form in str(told.value)
