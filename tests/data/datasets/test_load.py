import os
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcli.data.datasets import fruits360
from camcli.data.datasets.load import load_dataset
from camcli.data.datasets.locate import locate
from camcli.data.datasets.paths import data_places
from camcli.data.datasets.splitting import hold_out
from camcli.data.sources.refs import ImageRef
from camcli.errors import UnavailableError, UsageError

SHARED = Path(
    os.environ.get("CAMCLI_TEST_DATA", Path(__file__).parents[3].parent / "shared" / "data")
)


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def by_split(dataset) -> dict[str, set[str]]:
    return {s: {i.ref.rel for i in dataset.split(s)} for s in ("train", "val", "test")}


def refs(names) -> list[ImageRef]:
    return [ImageRef(Path("/d") / n, n, n.split("/")[-2] if "/" in n else "x") for n in names]


# -- layouts -----------------------------------------------------------------------------------


def test_class_folders_are_split_per_class(tmp_path):
    tree(tmp_path, *(f"cat/{i}.jpg" for i in range(40)), *(f"dog/{i}.jpg" for i in range(20)))
    data = load_dataset(tmp_path, val=0.1, test=0.2)
    assert data.classes == ("cat", "dog")
    assert data.layout == "classes"
    assert data.counts() == {"train": 42, "val": 6, "test": 12}
    assert sum(i.target == 0 for i in data.split("val")) == 4
    assert all(data.classes[i.target] == i.ref.label for i in data.items)
    again = load_dataset(tmp_path, val=0.1, test=0.2)
    assert again == data
    assert by_split(load_dataset(tmp_path, val=0.1, test=0.2, seed=1)) != by_split(data)
    assert load_dataset(tmp_path, val=0.0).counts() == {"train": 60, "val": 0, "test": 0}


def test_given_splits_are_kept(tmp_path):
    tree(
        tmp_path,
        *(f"{s}/{c}/{i}.jpg" for s in ("train", "valid", "test") for c in "ab" for i in "12"),
    )
    data = load_dataset(tmp_path)
    assert data.counts() == {"train": 4, "val": 4, "test": 4}
    assert {i.ref.rel.split("/")[0] for i in data.split("val")} == {"valid"}


def test_a_missing_validation_split_is_taken_from_training(tmp_path):
    tree(
        tmp_path,
        *(f"train/{c}/{i}.jpg" for c in "ab" for i in range(20)),
        "test/a/1.jpg",
        "test/b/1.jpg",
    )
    tree(tmp_path, "papers/figure.png")
    data = load_dataset(tmp_path, val=0.1)
    assert data.counts() == {"train": 36, "val": 4, "test": 2}
    assert data.notes[0] == ("Left out: 1 image outside the class folders, in papers.")


def test_flat_folder_by_prefix_and_by_expression(tmp_path):
    tree(tmp_path, *(f"{c}.{i}.jpg" for c in ("cat", "dog") for i in range(10)))
    data = load_dataset(tmp_path, val=0.2)
    assert data.classes == ("cat", "dog")
    assert "cat, dog" in data.notes[0]
    assert load_dataset(tmp_path, labels=r"^(\w)", val=0.2).classes == ("c", "d")
    with pytest.raises(UsageError, match="has a label by"):
        load_dataset(tmp_path, labels=r"(bird)\.")


@pytest.mark.parametrize(
    "names",
    [
        ["IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg", "IMG_4.jpg"],  # one prefix
        ["a1.jpg", "b1.jpg", "c1.jpg"],  # one image each
        ["a1.jpg", "a2.jpg", "b1.jpg", "b2.jpg", "other.jpg"],
        ["a/b/1.jpg", "a/c/2.jpg", "d/e/1.jpg", "d/f/2.jpg"],  # two folders deep
    ],
)
def test_labels_are_not_guessed(tmp_path, names):
    with pytest.raises(UsageError, match="were not recognised"):
        load_dataset(tree(tmp_path, *names))


def test_real_cats_and_dogs():
    folder = SHARED / "cats-dogs"
    if not folder.is_dir():
        pytest.skip(f"no photographs in {folder}")
    data = load_dataset(folder, val=0.2)
    assert data.classes == ("cat", "dog")
    assert data.counts() == {"train": 800, "val": 200, "test": 0}


# -- tables ------------------------------------------------------------------------------------


def table(tmp_path: Path, text: str) -> Path:
    tree(tmp_path, *(f"i/{n}.jpg" for n in "abcdef"))
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_table_with_splits(tmp_path):
    rows = "i/a.jpg,x,train\ni/b.jpg,y,Training\ni/c.jpg,x,valid\ni/d.jpg,y,test\n"
    data = load_dataset(table(tmp_path, "\ufeffpath,label,split\n" + rows))
    assert data.classes == ("x", "y")
    assert by_split(data) == {"train": {"a.jpg", "b.jpg"}, "val": {"c.jpg"}, "test": {"d.jpg"}}
    assert data.items[0].ref.path == tmp_path / "i" / "a.jpg"


def test_table_from_the_current_folder_with_semicolons(tmp_path, monkeypatch):
    table(tmp_path, "")
    listed = tmp_path / "deep" / "labels.csv"
    listed.parent.mkdir()
    listed.write_text('label;path;note\n"x; y";i/a.jpg;1\nz;i/b.jpg;2\n')
    monkeypatch.chdir(tmp_path)
    assert load_dataset(listed).classes == ("x; y", "z")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path\ni/a.jpg\n", "no column of labels"),
        ("photo,class\n", "no column path and no column label"),
        ("file,class\n", "no rows"),
        ("path,cat,dog\ni/a.jpg,1,maybe\n", "neither 0 nor 1"),
        ("path,cat,dog,split\ni/a.jpg,1,1,\n", "has no split"),
        ("path,label\ni/a.jpg,x|x2\ni/b.jpg,\n,x\n", "no path"),
        ("", "no column"),
        ("path,label\n", "no rows"),
        ("path,label\ni/a.jpg,\n", "Line 2 .* no label"),
        ("path,label\n,x\n", "Line 2 .* no path"),
        ("path,label\ni/a.jpg\n", "Line 2 .* no label"),
        ("path,label,split\ni/a.jpg,x,later\n", "'later' is not train"),
        ("path,label,split\ni/a.jpg,x,\n", "no split"),
        ("path,label\ni/a.jpg,x\ni/a.jpg,y\n", "two labels"),
        ("path,label\nnope/a.jpg,x\nnope/b.jpg,y\n", "None of the images"),
        ("path,label\ni/a.jpg,x\ni/b.jpg,x\n", "at least two classes.*'x'"),
        ('path,label\n"i/a.jpg,x\n', "not well-formed"),
    ],
)
def test_bad_tables_are_one_sentence(tmp_path, text, words):
    with pytest.raises(UsageError, match=words) as caught:
        load_dataset(table(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_binary_table(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_dataset(path)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda t: ("path,label\n" + t).encode()))
def test_any_table_is_a_data_set_or_one_sentence(tmp_path_factory, body):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(body)
    try:
        load_dataset(path)
    except UsageError as error:
        assert str(error)  # noqa: PT017


# -- what is not fit for training --------------------------------------------------------------


def test_empty_class_folder(tmp_path):
    tree(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "forgotten").mkdir()
    (tmp_path / "a" / "@eaDir").mkdir()
    data = load_dataset(tmp_path)
    assert data.classes == ("a", "b")
    assert "No class, as there are no images in it: forgotten." in data.notes
    assert "Left out: 1 @eaDir folder (name one as the source to take it)." in data.notes


def test_one_class(tmp_path):
    tree(tmp_path, "a/1.jpg", "a/2.jpg")
    with pytest.raises(UsageError, match=r"one class only \('a'\)"):
        load_dataset(tmp_path)
    with pytest.raises(UsageError, match="at least two classes, and there is one, 'a'"):
        load_dataset(tmp_path, labels="folder")


@pytest.mark.parametrize("split", ["test", "val"])
def test_a_class_that_is_never_trained(tmp_path, split):
    tree(tmp_path, "train/a/1.jpg", "train/b/1.jpg", f"{split}/a/1.jpg", f"{split}/zebra/1.jpg")
    with pytest.raises(UsageError, match=f"{split} split .* never trained: zebra"):
        load_dataset(tmp_path)


def test_no_training_split(tmp_path):
    tree(tmp_path, "val/a/1.jpg", "val/b/1.jpg", "test/a/1.jpg", "test/b/1.jpg")
    with pytest.raises(UsageError, match="no training images"):
        load_dataset(tmp_path)


def test_shares(tmp_path):
    for shares in ({"val": 1.0}, {"test": -0.1}):
        with pytest.raises(UsageError, match="share"):
            load_dataset(tmp_path, **shares)


# -- Office-31 ---------------------------------------------------------------------------------


@pytest.fixture
def office(tmp_path):
    names = [
        f"{d}/images/{c}/frame_{i:04}.jpg"
        for d in ("amazon", "dslr", "webcam")
        for c in ("bike", "mug", "back_pack")
        for i in range(1, 11)
    ]
    return tree(tmp_path / "office31", *names)


def test_office31_domains(office):
    pooled = load_dataset(office, val=0.2)
    assert pooled.classes == ("back_pack", "bike", "mug")
    assert len(pooled.items) == 90
    assert "pooled" in pooled.notes[0]
    one = load_dataset(office, domain="amazon", val=0.2)
    assert one.counts() == {"train": 24, "val": 6, "test": 0}
    assert {i.ref.rel.split("/")[0] for i in one.items} == {"amazon"}
    shift = load_dataset(office, train_domain="amazon", test_domain="webcam", val=0.2)
    assert shift.counts() == {"train": 24, "val": 6, "test": 30}
    assert {i.ref.rel.split("/")[0] for i in shift.split("test")} == {"webcam"}
    assert load_dataset(office / "amazon").classes == ("back_pack", "bike", "mug")


def test_office31_mistakes(office, tmp_path):
    for options, words in (
        ({"domain": "ebay"}, "No domain 'ebay'.*amazon, dslr, webcam"),
        ({"train_domain": "amazon"}, "go together"),
        ({"train_domain": "amazon", "test_domain": "amazon"}, "the same"),
        ({"domain": "dslr", "train_domain": "amazon", "test_domain": "dslr"}, "either one domain"),
        ({"split": "video"}, "Fruits-360 only"),
    ):
        with pytest.raises(UsageError, match=words):
            load_dataset(office, **options)
    tree(office, "webcam/images/lamp/frame_0001.jpg")
    with pytest.raises(UsageError, match="never trained: lamp"):
        load_dataset(office, train_domain="amazon", test_domain="webcam")
    tree(tmp_path / "plain", "a/1.jpg", "b/1.jpg")
    with pytest.raises(UsageError, match="no folders that share classes"):
        load_dataset(tmp_path / "plain", domain="amazon")


# -- Fruits-360 --------------------------------------------------------------------------------


VIDEOS = {"Apple Red 1": ["", "r_"], "Apple Red 2": ["", "r_", "r2_"], "Pear": ["r0_"]}


@pytest.fixture
def fruits(tmp_path):
    """As the 100x100 releases: Test is every frame with an index of 3 modulo 4."""
    return tree(
        tmp_path / "fruits-360-100x100",
        *(
            f"{'Test' if i % 4 == 3 else 'Training'}/{c}/{v}{i}_100.jpg"
            for c, videos in VIDEOS.items()
            for v in videos
            for i in range(60)
        ),
    )


def test_fruits360_validates_on_contiguous_runs(fruits):
    data = load_dataset(fruits, val=0.2)
    assert data.layout == "fruits360"
    assert data.classes == ("Apple Red 1", "Apple Red 2", "Pear")
    assert data.counts() == {"train": 6 * 36, "val": 6 * 9, "test": 6 * 15}
    assert any("--split video" in note for note in data.notes)
    held = defaultdict(list)
    for item in data.split("val"):
        held[fruits360.video(item.ref)].append(fruits360.frame(item.ref))
    training = [i for i in range(60) if i % 4 != 3]
    for frames in held.values():
        at = training.index(min(frames))
        assert sorted(frames) == training[at : at + len(frames)]
    assert len({min(frames) for frames in held.values()}) > 1
    assert load_dataset(fruits, val=0).counts()["val"] == 0


def test_fruits360_whole_videos(fruits):
    data = load_dataset(fruits, split="video")
    videos = {s: {fruits360.video(i.ref) for i in data.split(s)} for s in ("train", "val", "test")}
    assert not videos["train"] & videos["val"]
    assert not videos["train"] & videos["test"]
    assert not videos["val"] & videos["test"]
    # Of two videos one is tested; of three one validates too; of one none.
    labels = {s: {i.ref.label for i in data.split(s)} for s in videos}
    assert labels == {
        "train": set(VIDEOS),
        "val": {"Apple Red 2"},
        "test": {"Apple Red 1", "Apple Red 2"},
    }
    assert any("One video only" in note and "Pear" in note for note in data.notes)
    assert len(data.items) == 6 * 60


def test_fruits360_merges_varieties(fruits):
    data = load_dataset(fruits, merge_varieties=True, split="video")
    assert data.classes == ("Apple Red", "Pear")
    # The same prefix of two varieties is two videos.
    assert len({fruits360.video(i.ref) for i in data.items}) == 6


@pytest.mark.parametrize(
    ("name", "fruit"),
    [
        ("Apple Red 1", "Apple Red"),
        ("apple_6", "apple"),
        ("Cabbage white 1", "Cabbage white"),
        ("Pear", "Pear"),
        ("7", "7"),
    ],
)
def test_variety_numbers(name, fruit):
    assert fruits360.merged(name) == fruit


def test_fruits360_at_its_original_size(tmp_path):
    names = (
        f"{s}/{c}/r{v}_{i}.jpg"
        for s in ("Training", "Validation", "Test")
        for c in ("apple_6", "carrot_1")
        for v in (0, 1)
        for i in range(4)
    )
    data = load_dataset(tree(tmp_path, *names))
    assert data.layout == "fruits360"
    assert data.counts() == {"train": 16, "val": 16, "test": 16}


def test_other_splits_are_not_taken_for_fruits(tmp_path):
    tree(
        tmp_path,
        *(f"{s}/{c}/{c}_{i}.jpg" for s in ("Training", "Test") for c in "ab" for i in "12"),
    )
    assert load_dataset(tmp_path).layout == "splits"
    with pytest.raises(UsageError, match="Fruits-360 only"):
        load_dataset(tmp_path, split="video")


# -- names -------------------------------------------------------------------------------------


def test_names_are_looked_up(tmp_path, monkeypatch, fruits):
    monkeypatch.setenv("CAMCLI_DATA", str(tmp_path / "env"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert data_places(Path("d")) == [Path("d"), tmp_path / "env", tmp_path / "xdg" / "camcli"]
    with pytest.raises(UnavailableError, match="camcli data fetch fruits360") as caught:
        load_dataset("fruits360")
    assert str(tmp_path / "env") in str(caught.value)
    assert locate("fruits360", fruits.parent) == fruits
    (tmp_path / "xdg" / "camcli").mkdir(parents=True)
    fruits.rename(tmp_path / "xdg" / "camcli" / "fruits360")
    assert load_dataset("fruits360").layout == "fruits360"
    with pytest.raises(UsageError, match=r"neither a file or folder nor one of .*fruits360"):
        load_dataset("fruit")
    with pytest.raises(UsageError):
        load_dataset("")


# -- drawing splits ----------------------------------------------------------------------------


def test_groups_stay_together(tmp_path):
    names = [f"{c}/{p}_{i}.jpg" for c in ("x", "y") for p in "abcdefgh" for i in range(5)]
    data = load_dataset(tree(tmp_path, *names), group=r"/(\w)_", val=0.25)
    people = {s: {r.split("/")[1][0] for r in rels} for s, rels in by_split(data).items()}
    assert not people["train"] & people["val"]
    assert data.counts()["val"] == 20
    for bad, words in (("(", "not a regular"), ("x", "parentheses"), ("(zzz)", "fits no image")):
        with pytest.raises(UsageError, match=words):
            load_dataset(tmp_path, group=bad)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 30), min_size=2),
    st.floats(0.05, 0.6),
    st.floats(0.05, 0.3),
    st.integers(0, 5),
)
def test_every_class_keeps_training_images_and_its_share(sizes, val, test, seed):
    images = refs(f"{c}/{i}.jpg" for c, n in sizes.items() for i in range(n))
    held = hold_out(images, {"test": test, "val": val}, seed)
    assert held == hold_out(images[::-1], {"test": test, "val": val}, seed)
    for label, size in sizes.items():
        counts = {
            s: sum(held.get(r.rel) == s for r in images if r.label == label)
            for s in ("val", "test")
        }
        assert size - counts["val"] - counts["test"] >= 1
        if size * (1 - val - test) >= 2:
            assert abs(counts["val"] - max(1, val * size)) <= 1
            assert abs(counts["test"] - max(1, test * size)) <= 1
        elif size >= 3:
            assert counts["test"] >= 1


# -- lists of paths ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["{}.txt", "@{}.txt", "@{}"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
def test_a_list_of_paths_is_a_data_set(tmp_path, monkeypatch, name, end):
    """Labels and splits are the folders', as if nothing else lay in them."""
    wanted = [f"photos/{s}/{c}/{n}.jpg" for s in ("train", "val") for c in "ab" for n in range(3)]
    tree(tmp_path, *wanted, "photos/train/a/9.jpg", "photos/train/c/0.jpg")
    monkeypatch.chdir(tmp_path)
    file = name.format("list").removeprefix("@")
    Path(file).write_bytes("".join(path + end for path in wanted).encode())
    data = load_dataset(name.format("list"))
    assert data.classes == ("a", "b")
    assert data.layout == "splits"
    found = {(str(item.ref.path), data.classes[item.target], item.split) for item in data.items}
    assert found == {
        (str(tmp_path / path), path.split("/")[2], path.split("/")[1]) for path in wanted
    }


def test_labels_of_a_list_may_be_names_of_files_or_said(tmp_path):
    names = [f"{c}.{n}.jpg" for c in ("cat", "dog") for n in range(4)]
    tree(tmp_path, *names, "cat.9.jpg")
    (tmp_path / "some.txt").write_text("\n".join(names))
    for labels in ("auto", "prefix", "^(.)"):
        data = load_dataset(tmp_path / "some.txt", labels=labels)
        assert len(data.items) == len(names)
        assert data.classes == (("c", "d") if labels == "^(.)" else ("cat", "dog"))


def test_a_table_that_is_called_like_a_list_is_a_table(tmp_path):
    tree(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "labels.txt").write_text("path,label\n1.jpg,a\n2.jpg,b\n")
    assert load_dataset(tmp_path / "labels.txt", val=0).layout == "table"


def test_a_list_that_names_nothing_is_refused(tmp_path):
    (tmp_path / "empty.txt").write_text("")
    for name in (str(tmp_path / "empty.txt"), "@gone.txt", "gone.txt"):
        with pytest.raises(UsageError):
            load_dataset(name)


# -- tables ------------------------------------------------------------------------------------


def test_cells_that_a_spreadsheet_would_run_are_read_as_they_were(tmp_path):
    tree(tmp_path, "=1.jpg", "2.jpg")
    (tmp_path / "t.csv").write_text("path,label\n'=1.jpg,'+a\n2.jpg,'b\n")
    data = load_dataset(tmp_path / "t.csv", val=0)
    assert data.classes == ("'b", "+a")
    data = load_dataset(tmp_path, labels=str(tmp_path / "t.csv"), val=0)
    assert data.classes == ("'b", "+a")


def test_a_class_whose_name_has_a_bar_is_one(tmp_path):
    tree(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "t.csv").write_text("path,label\n1.jpg,a\\|b\n2.jpg,c\n")
    data = load_dataset(tmp_path / "t.csv", val=0)
    assert (data.classes, data.several) == (("a|b", "c"), False)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_in_a_table_may_be_any_bytes(tmp_path):
    name = os.fsdecode(b"\xff\xfe.jpg")
    tree(tmp_path, "2.jpg")
    (tmp_path / name).touch()
    (tmp_path / "t.csv").write_bytes(b"path,label\n\xff\xfe.jpg,a\n2.jpg,b\n")
    data = load_dataset(tmp_path / "t.csv", val=0)
    assert {item.ref.path.name for item in data.items} == {name, "2.jpg"}
    # In another encoding it names nothing, or says what it does not mean.
    for text in (
        "path,label\nä.jpg,a\n2.jpg,b\n",
        "path,label\n2.jpg,ä\n",
        "path,label,ä\n2.jpg,a,\n",
    ):
        (tmp_path / "t.csv").write_bytes(text.encode("latin-1"))
        with pytest.raises(UsageError, match="not UTF-8 text"):
            load_dataset(tmp_path / "t.csv")
