"""Class names are read in the forms that people have them, in the network's order."""

from __future__ import annotations

import csv
import io
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camcli.errors import UsageError
from camcli.models.classes.names_file import MAX_BYTES, read_class_names

PETS = ("cat", "dog", "horse")


def read(tmp_path, content, name="names"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_class_names(path)


FORMS = {
    "lines": "cat\ndog\nhorse\n",
    "windows": "cat\r\n\r\n  dog \r\nhorse",
    "old-mac": "cat\rdog\rhorse\r",
    "list": '["cat", "dog", "horse"]',
    "id2label": '{"0": "cat", "1": "dog", "2": "horse"}',
    "any-order": '{"2": "horse", "0": "cat", "1": "dog"}',
    "class-to-idx": '{"cat": 0, "dog": 1, "horse": 2}',
    "text-indices": '{"horse": "2", "cat": "0", "dog": "1"}',
    "class-index": '{"0": ["n01", "cat"], "1": ["n02", "dog"], "2": ["n03", "horse"]}',
    "pairs": '[[1, "dog"], [0, "cat"], [2, "horse"]]',
    "pairs-turned": '[["dog", 1], ["cat", 0], ["horse", 2]]',
    "wnids": '[["n02123045", "cat"], ["n02099601", "dog"], ["n02374451", "horse"]]',
    "from-one": '{"1": "cat", "2": "dog", "3": "horse"}',
    "python": "{0: 'cat', 1: 'dog',\n 2: 'horse'}",
    "hub": json.dumps({
        "architectures": ["ViT"], "hidden_size": 768, "label2id": {"x": 0},
        "id2label": {"0": "cat", "1": "dog", "2": "horse"},
    }),
    "hub-turned": json.dumps({"image_size": 224, "label2id": {"dog": 1, "horse": 2, "cat": 0}}),
    "timm": json.dumps({"num_classes": 3, "label_names": ["cat", "dog", "horse"]}),
    "coco": json.dumps({"images": [], "categories": [
        {"id": 2, "name": "dog"}, {"id": 1, "name": "cat"}, {"id": 3, "name": "horse"}]}),
    "nested": json.dumps({"data": {"classes": ["cat", "dog", "horse"]}, "n": 3}),
    "numbered": "0 cat\n1 dog\n2 horse\n",
    "colon": "0: cat\n1: dog\n2: horse\n",
    "comma": "0,cat\n1,dog\n2,horse\n",
    "tab": "0\tcat\n1\tdog\n2\thorse\n",
    "semicolon": "0;cat\n1;dog\n2;horse\n",
    "shuffled": "2 horse\n0 cat\n1 dog\n",
    "from-one-lines": "1 cat\n2 dog\n3 horse\n",
    "index-last": "cat 0\nhorse 2\ndog 1\n",
    "index-last-comma": "cat,0\ndog,1\nhorse,2\n",
    "wnid-lines": "0 n02123045 cat\n1 n02099601 dog\n2 n02374451 horse\n",
    "header": "index,name\n0,cat\n1,dog\n2,horse\n",
    "header-turned": "class_name,class_id\nhorse,2\ncat,0\ndog,1\n",
    "header-semicolon": "id;label\n0;cat\n1;dog\n2;horse\n",
    "header-tab": "Class ID\tClass Name\n1\tcat\n2\tdog\n3\thorse\n",
    "header-more": "index,wnid,name,count\n0,n01,cat,7\n1,n02,dog,9\n2,n03,horse,4\n",
    "header-no-index": "name,wnid\ncat,n01\ndog,n02\nhorse,n03\n",
    "header-label": "label,class\n0,cat\n1,dog\n2,horse\n",
    "one-column": "name\ncat\ndog\nhorse\n",
    "quoted": '"index","name"\n"0","cat"\n"1","dog"\n"2","horse"\n',
    "dashes": "- cat\n- 'dog'\n- \"horse\"\n",
    "yolo": "path: ../x\ntrain: images\nnames:\n  0: cat\n  1: dog\n  2: horse\n\nnc: 3\n",
    "yolo-list": "nc: 3\nnames: ['cat', \"dog\", horse]  # three\n",
    "yolo-dict": "names: {0: cat, 1: dog, 2: horse}\nnc: 3\n",
    "index-equals": "0=cat\n1=dog\n2=horse\n",
    "arrow": "0 -> cat\n1 -> dog\n2 -> horse\n",
    "index-last-colon": "cat: 0\nhorse: 2\ndog: 1\n",
    "index-last-equals": "cat=0\nhorse=2\ndog=1\n",
    "float-index": "index,name\n2.0,horse\n0.0,cat\n1.0,dog\n",
    "wordnet": "n02123045 cat\nn02099601 dog\nn02374451 horse\n",
    "wordnet-comma": "n02123045,cat\nn02099601,dog\nn02374451,horse\n",
    "wordnet-kit": "n02374451 3 horse\nn02123045 1 cat\nn02099601 2 dog\n",
    "stars": "* cat\n* dog\n* horse\n",
    "bullets": "• cat\n• dog\n• horse\n",
    "quoted-lines": '"cat",\n"dog",\n"horse"\n',
    "one-row": "cat, dog, horse\n",
    "one-row-quoted": '"cat","dog","horse"',
    "assigned": "# ours\nCLASSES = ['cat', 'dog',\n 'horse']\n",
    "assigned-dict": "class_to_idx = {'dog': 1, 'horse': 2, 'cat': 0}\n",
    "assigned-tuple": "classes = ('cat', 'dog', 'horse')",
    "toml": 'classes = ["cat", "dog", "horse"]\nsize = 3\n',
    "json-lines": '{"id": 0, "name": "cat"}\n{"id": 1, "name": "dog"}\n{"id": 2, "name": "horse"}',
    "json-lines-lists": '["cat"]\n["dog"]\n["horse"]\n',
    "label-map": "item {\n id: 2\n name: 'dog'\n}\nitem { id: 1 name: \"cat\" }\n"
    "item {\n id: 3\n name: 'h' display_name: 'horse'\n}\n",
    "remark-first": "# our classes\ncat\ndog\nhorse\n",
    "yolo-remarks": "names:\n  0: 'cat'  # a cat\n  1: dog # another\n  2: \"horse\" #\n",
    "yolo-quoted-keys": "names:\n  '0': cat\n  '2': horse\n  '1': 'dog'\n",
    "yolo-anchor": "names: &all\n  - cat\n  - dog\n  - horse\n",
    "yolo-flow-quotes": "names: {'0': 'cat', '1': \"dog\", 2: horse}\n",
    "yolo-dashes": "names:\n- cat\n- dog\n# a remark\n- horse\nnc: 3\n",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms(tmp_path, form):
    assert read(tmp_path, FORMS[form]) == PETS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("form", ["lines", "id2label", "header"])
def test_encodings(tmp_path, form, encoding):
    """Spreadsheets and PowerShell write a mark, or UTF-16, with or without one."""
    text = FORMS[form].replace("cat", "Kätzchen")
    assert read(tmp_path, text.encode(encoding)) == ("Kätzchen", "dog", "horse")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        # Names that have numbers or separators, and are no table.
        ("tench, Tinca tinca\ntabby, tiger cat\n", ("tench, Tinca tinca", "tabby, tiger cat")),
        ("room 0\nroom 1\nroom 2\n", ("room 0", "room 1", "room 2")),
        ("1 euro\n2 euro\n5 euro\n", ("1 euro", "2 euro", "5 euro")),
        ("7 up\ncola\n", ("7 up", "cola")),
        ("0\n1\n2\n", ("0", "1", "2")),
        ("3\n7\n", ("3", "7")),
        ("a: b\nc: d\n", ("a: b", "c: d")),
        ("#1\n#2\n", ("#1", "#2")),
        ("cat", ("cat",)),
        # A comma within a name that has an index.
        ('0,"tench, Tinca tinca"\n1,tabby\n', ("tench, Tinca tinca", "tabby")),
        ("index,name\n0,tench, Tinca tinca\n1,tabby\n", ("tench, Tinca tinca", "tabby")),
        ('{"0": ["tench", "Tinca tinca"], "1": ["tabby"]}', ("tench, Tinca tinca", "tabby")),
        # An apostrophe within a name.
        ('names: ["jack-o\'-lantern", dog]\n', ("jack-o'-lantern", "dog")),
        # What begins with a number, and is told apart by it.
        ("0 percent\n50 percent\n100 percent\n", ("0 percent", "50 percent", "100 percent")),
        ("1990 car\n1991 van\n", ("1990 car", "1991 van")),
        ('["0 cat", "1 dog"]', ("0 cat", "1 dog")),
        # Digits as names: the indices decide.
        ('{"0": 0, "1": 1}', ("0", "1")),
        ("index,name\n0,5\n1,6\n", ("5", "6")),
    ],
)
def test_what_looks_like_another_form(tmp_path, text, names):
    assert tuple(read(tmp_path, text)) == names


def test_names_that_occur_twice_are_told_apart_by_their_index(tmp_path):
    """ImageNet has two cranes and two maillots."""
    assert read(tmp_path, "crane\ncat\ncrane\n") == ("crane (0)", "cat", "crane (2)")
    text = '{"1": "crane", "0": "crane", "2": "crane (0)"}'
    assert read(tmp_path, text) == ("crane (0)'", "crane (1)", "crane (0)")
    assert read_class_names(["a", "a"]) == ("a (0)", "a (1)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"0": "cat", "2": "dog"}', "1 is missing"),
        ('{"cat": 0, "dog": 0}', "index 0"),
        ("index,name\n0,cat\n0,dog\n", "index 0"),
        ("0: cat\n3: dog\n", "1 is missing"),
        ('{"5": "cat", "6": "dog"}', "0 is missing"),
        ("0 cat\n2 dog\n", "do not count up"),
        ("0 cat\n0 dog\n", "do not count up"),
        ("0 cat\n1 dog\nhorse\n", "'horse' does not"),
        ("cat,3,x\ndog,4,y\n", "2 columns|3 columns"),
        ("path,label\na.jpg,cat\nb.jpg,dog\n", "lists pictures"),
        ("item {\n name: 'cat'\n}\n", "no class names"),
        ("names:\n  cat\n  dog\n", "no list of names"),
        ("classes = [open('x'), 'dog']\n", "no class names"),
        ("[1, 2]", "must be a string"),
        ('["a", null]', "must be a string"),
        ('{"a": 1.5, "b": 2.5}', "no class names"),
        ('{"hidden_size": 768}', "no class names"),
        ("{}", "no class names"),
        ('{"0": 1.5}', "no class name"),
        ('{"0": {"x": 1}}', "no class name"),
        ('{"id2label": 5}', "no class names"),
        ('["a"', "not JSON"),
        ("[", "not JSON"),
        ("names: [cat, dog", "no class names"),
        ("[]", "no names"),
        ("", "no names"),
        ("\n \n", "no names"),
        ('["a", " "]', "one of them is empty"),
        ("[" + "9" * 5000 + "]", "names"),
        ("[" * 100_000, "names"),
        ("{'a':" * 50_000, "names"),
    ],
)
def test_what_is_no_list_of_names_is_told(tmp_path, text, said):
    with pytest.raises(UsageError, match=said) as caught:
        read(tmp_path, text)
    assert "names" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "lone").write_bytes(b"\xff\xfe\x00\xd8")
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    for name in ("lone", "bytes", "huge", "gone", "."):
        with pytest.raises(UsageError, match="cannot be read"):
            read_class_names(tmp_path / name)


# Names as they are: something to see, no line ends, and not all digits.
NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda name: name and not name.isdigit()),
    min_size=1, max_size=12, unique=True,
)  # fmt: skip


def as_csv(names):
    text = io.StringIO()
    csv.writer(text).writerows([("index", "name"), *enumerate(names)])
    return text.getvalue()


WRITERS = {
    "list": json.dumps,
    "id2label": lambda names: json.dumps({str(i): n for i, n in enumerate(names)}),
    "class-to-idx": lambda names: json.dumps({n: i for i, n in enumerate(names)}),
    "class-index": lambda names: json.dumps({i: [f"n{i:08d}", n] for i, n in enumerate(names)}),
    "config": lambda names: json.dumps({"x": 1, "id2label": dict(enumerate(names))}),
    "python": lambda names: repr(dict(enumerate(names))),
    "csv": as_csv,
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@pytest.mark.parametrize("writer", WRITERS)
@given(names=NAMES, seed=st.integers(0, 99))
def test_what_is_written_reads_back(tmp_path, writer, names, seed):
    """Whatever the names are made of, the form gives them back, in order."""
    assert read(tmp_path, WRITERS[writer](names)) == tuple(names)
    if writer in ("id2label", "class-to-idx"):
        items = list(json.loads(WRITERS[writer](names)).items())
        random.Random(seed).shuffle(items)
        assert read(tmp_path, json.dumps(dict(items))) == tuple(names)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.from_regex(r"[A-Za-zÄ-ü][A-Za-zÄ-ü _.&'-]{0,9}[A-Za-zÄ-ü]", fullmatch=True),
                   min_size=2, max_size=12, unique=True),
    between=st.sampled_from([" ", ": ", ",", "\t", ";", " - ", ". ", ") "]),
    first=st.sampled_from([0, 1]),
)  # fmt: skip
def test_numbered_lines_read_back(tmp_path, names, between, first):
    lines = "\n".join(f"{i}{between}{name}" for i, name in enumerate(names, first))
    assert read(tmp_path, lines) == tuple(names)
    assert read(tmp_path, "\n".join(names)) == tuple(names)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.binary() | st.text() | st.text("[]{}:,;-\"' \n\t019ab") | st.text().map("[".__add__)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["0", "1", "2", "a", "names", "id2label"]), inner),
    ).map(json.dumps)
)  # fmt: skip
def test_any_file_is_read_or_explained(tmp_path, content):
    data = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
    try:
        names = read(tmp_path, data)
    except UsageError as error:
        names = (str(error),)
    assert names
    assert all(names)
    assert len(set(names)) == len(names)


def test_an_index_that_stands_twice_in_json_is_refused(tmp_path):
    """JSON itself would keep the last name, and say nothing."""
    path = tmp_path / "names.json"
    path.write_text('{"0": "cat", "1": "dog", "1": "fox"}')
    with pytest.raises(UsageError, match="'1' stands twice"):
        read_class_names(path)
