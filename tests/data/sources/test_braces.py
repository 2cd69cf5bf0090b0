import time

import pytest

from camcli.data.sources import braces
from camcli.data.sources.braces import expand
from camcli.data.sources.find import find_images
from camcli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("s-{00..02}.tar", ["s-00.tar", "s-01.tar", "s-02.tar"]),
        ("{2..1}{a,b}", ["2a", "2b", "1a", "1b"]),
        ("{a,{b,c}}", ["a", "b", "a", "c"]),
        ("{a}", ["{a}"]),
        ("{,x}/1.jpg", ["/1.jpg", "x/1.jpg"]),
        ("{1..1}" * 12, ["1" * 12]),
    ],
)
def test_names(text, names):
    assert expand([text]) == names


@pytest.mark.parametrize(
    "text",
    [
        "{1..1000000000}", "{000..999}{000..999}{0..9}", "{a,b}" * 100, "{a,b}" * 21,
        "{1..999999999999999999}.jpg", "x{a,b}" * 20_000,
    ],
)  # fmt: skip
def test_too_many_are_refused_before_they_are_made(text):
    began = time.process_time()
    with pytest.raises(UsageError, match="stands for more than 1,000,000 names"):
        find_images(text)
    assert time.process_time() - began < 5


def test_the_bound_is_of_all_arguments(monkeypatch):
    monkeypatch.setattr(braces, "MOST", 10)
    assert len(expand(["{0..9}"])) == 10
    with pytest.raises(UsageError):
        expand(["{0..4}", "{0..5}"])


def test_a_number_with_thousands_of_digits_is_a_name():
    (name,) = expand([f"{{1..{'9' * 5000}}}"])
    assert name.startswith("{1..999")


@pytest.mark.parametrize("name", ["{a,b}", "{1..3}", "x{a,b}y"])
def test_what_is_there_is_meant(tmp_path, name):
    (tmp_path / name / "{c,d}").mkdir(parents=True)
    for path in ("1.jpg", "{c,d}/2.jpg"):
        (tmp_path / name / path).write_bytes(b"x")
    folder = f"{tmp_path}/{name}"
    assert expand([folder]) == [folder]
    for spec, found in {
        folder: ["1.jpg", "{c,d}/2.jpg"],
        f"{folder}/*.jpg": ["1.jpg"],
        f"{folder}/1.jpg": ["1.jpg"],
        f"{folder}/{{c,d}}/*.jpg": ["2.jpg"],
    }.items():
        assert [ref.rel for ref in find_images(spec)] == found
    (tmp_path / name / "0.jpg").write_bytes(b"x")
    assert [r.rel for r in find_images(f"{folder}/{{0,1}}.jpg")] == ["0.jpg", "1.jpg"]
