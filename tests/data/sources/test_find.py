import io
import os
import pickle
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcli.data.decode.images import load_image
from camcli.data.sources.find import find_images
from camcli.data.sources.finders import MAX_LINKS, Glob, _matches
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, UsageError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def rels(spec, **options) -> list[str]:
    return [ref.rel for ref in find_images(spec, **options)]


# -- folders -----------------------------------------------------------------------------------


def test_a_folder_is_walked_by_name_its_own_pictures_first(tmp_path):
    touch(
        tmp_path, "b/2.JPG", "b/10.jpeg", "a/c/x.png", "z.webp", "a/y.tiff", "notes.txt", "b/.h.jpg"
    )
    touch(tmp_path, ".git/x.jpg")
    source = find_images(tmp_path)
    assert [ref.rel for ref in source] == [
        "z.webp",
        "a/y.tiff",
        "a/c/x.png",
        "b/10.jpeg",
        "b/2.JPG",
    ]
    assert [ref.rel for ref in source] == rels(str(tmp_path))  # and again
    assert source.count() == 5
    assert source.root == tmp_path
    assert all(ref.path == tmp_path / ref.rel and ref.path.is_absolute() for ref in source)
    assert rels(tmp_path, recursive=False) == ["z.webp"]


def test_limit(tmp_path):
    touch(tmp_path, *(f"{i}.jpg" for i in range(9)))
    source = find_images(tmp_path, limit=4)
    assert source.count() == 4
    assert [r.rel for r in source] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert find_images(tmp_path, limit=40).count() == 9
    with pytest.raises(UsageError, match="limit"):
        find_images(tmp_path, limit=0)


def test_odd_names(tmp_path):
    names = [
        "with space.jpg",
        "two\nlines.jpg",
        "😀/é.jpg",
        os.fsdecode(b"\xff\xfe.jpg"),
        "a\\b.jpg",
    ]
    touch(tmp_path, *names, "[x]/1.jpg", "*.jpg")
    assert sorted(rels(tmp_path)) == sorted([*names, "[x]/1.jpg", "*.jpg"])
    assert rels(tmp_path / "[x]") == ["1.jpg"]  # what exists is meant, not a pattern
    assert rels(tmp_path / "*.jpg") == ["*.jpg"]


def test_what_cannot_be_read_is_still_named(tmp_path):
    touch(tmp_path, "ok.jpg", "album.jpg/inside.jpg")
    (tmp_path / "dangling.jpg").symlink_to("gone")
    found = list(find_images(tmp_path))
    assert [r.rel for r in found] == ["album.jpg", "dangling.jpg", "ok.jpg"]
    for ref in found[:2]:
        with pytest.raises(ImageError):
            load_image(ref.path)


def test_an_unlistable_folder_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert rels(tmp_path, labels="none") == ["a", "b/2.jpg"]
    with pytest.raises(UsageError, match="permissions"):
        find_images(tmp_path / "a", labels="none")


def test_links(tmp_path):
    touch(tmp_path / "elsewhere", "k/1.jpg", "f.jpg")
    root = touch(tmp_path / "root", "real/2.jpg")
    (root / "file.jpg").symlink_to(tmp_path / "elsewhere" / "f.jpg")
    (root / "linked").symlink_to(tmp_path / "elsewhere" / "k")
    assert rels(root) == ["file.jpg", "linked/1.jpg", "real/2.jpg"]
    assert all(root in ref.path.parents for ref in find_images(root))


def test_loops_end(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path)
    assert rels(tmp_path) == ["a/1.jpg", "b/2.jpg"]


def test_folders_that_all_link_to_each_other_end(tmp_path):
    names = [f"d{i}" for i in range(7)]
    touch(tmp_path, *(f"{n}/x.jpg" for n in names))
    for one in names:
        for other in names:
            if one != other:
                (tmp_path / one / f"to_{other}").symlink_to(tmp_path / other)
    found = rels(tmp_path)
    assert len(found) == len(set(found)) == 7 + 7 * 6 + 7 * 6 * 5 + 7 * 6 * 5 * 4
    assert MAX_LINKS == 3


def test_iteration_is_lazy(tmp_path, monkeypatch):
    touch(tmp_path, *(f"d{i}/x.jpg" for i in range(50)))
    seen = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda p: seen.append(p) or scandir(p))
    source = find_images(tmp_path, labels="none")
    assert len(seen) <= 2  # the root and the first folder, to see that there is something
    next(iter(source))
    assert len(seen) <= 4


def test_sources_travel_to_other_processes(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    source = pickle.loads(pickle.dumps(find_images(tmp_path)))
    assert [(r.rel, r.label) for r in source] == [("a/1.jpg", "a"), ("b/2.jpg", "b")]
    (tmp_path / "list").write_text("a/1.jpg\nb/2.jpg\n")
    for spec in (f"@{tmp_path / 'list'}", [tmp_path / "a", tmp_path / "b"], f"{tmp_path}/*/1.jpg"):
        source = find_images(spec)
        assert list(pickle.loads(pickle.dumps(source))) == list(source)


# -- globs -------------------------------------------------------------------------------------


def test_globs(tmp_path, monkeypatch):
    touch(tmp_path, "p/a/1.jpg", "p/a/2.png", "p/b/1.jpg", "p/b/c/1.jpg", "p/1.jpg", "p/x.dat")
    touch(tmp_path, "p/.h/1.jpg", "p/t.txt")
    monkeypatch.chdir(tmp_path)
    assert rels("p/*/1.jpg") == ["a/1.jpg", "b/1.jpg"]
    assert rels("p/**/1.jpg") == ["1.jpg", "a/1.jpg", "b/1.jpg", "b/c/1.jpg"]
    assert rels("p/**") == ["1.jpg", "a/1.jpg", "a/2.png", "b/1.jpg", "b/c/1.jpg"]
    assert rels("p/*") == ["1.jpg"]
    assert rels("p/*.dat") == ["x.dat"]
    assert rels("p/?.dat") == ["x.dat"]
    assert rels("p/[ab]/*") == ["a/1.jpg", "a/2.png", "b/1.jpg"]
    assert rels("**/c/*.jpg") == ["p/b/c/1.jpg"]
    assert rels("./p/a/*.png") == ["2.png"]
    assert rels(str(tmp_path / "p" / "*" / "*.png")) == ["a/2.png"]
    assert rels("p/a/../b/*.jpg") == ["1.jpg"]
    assert find_images("p/a/../b/*.jpg").root == tmp_path / "p" / "b"


def test_a_glob_enters_only_folders_that_can_match(tmp_path, monkeypatch):
    touch(tmp_path, "keep/1.jpg", "keep/deep/1.jpg", "other/1.jpg")
    seen = []
    scandir = os.scandir
    finder = Glob.parse(str(tmp_path / "k*" / "*.jpg"))
    monkeypatch.setattr(os, "scandir", lambda p: seen.append(p) or scandir(p))
    assert [rel for _, rel in finder] == ["keep/1.jpg"]
    assert seen == [str(tmp_path), str(tmp_path / "keep")]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "ab", "c.jpg"]), min_size=1, max_size=4),
    st.lists(st.sampled_from(["*", "a*", "**", "?", "c.jpg", "[ab]"]), min_size=1, max_size=4),
)
def test_matching_agrees_with_pathlib(parts, segments):
    if sys.version_info < (3, 13):
        pytest.skip("PurePath.full_match came with Python 3.13")
    from pathlib import PurePosixPath

    expected = PurePosixPath("/".join(parts)).full_match("/".join(segments))
    assert _matches(tuple(parts), tuple(segments)) == expected


def test_globbing_agrees_with_the_standard_library(tmp_path):
    import glob

    touch(tmp_path, *(f"{a}/{b}/{c}.jpg" for a in "xy" for b in "xz" for c in "12"), "x/1.jpg")
    for pattern in (
        "**/x/**/*.jpg",
        "*/x/*.jpg",
        "**/*.jpg",
        "x/**/1.jpg",
        "?/[!x]/*.jpg",
        "**/**/1.jpg",
    ):
        expected = {
            str(Path(p).relative_to(tmp_path))
            for p in glob.glob(str(tmp_path / pattern), recursive=True)  # noqa: PTH207
        }
        source = find_images(str(tmp_path / pattern))
        found = [str(ref.path.relative_to(tmp_path)) for ref in source]
        assert len(found) == len(set(found))
        assert set(found) == expected, pattern


# -- files and lists ---------------------------------------------------------------------------


def test_one_file_is_taken_whatever_its_name(tmp_path):
    touch(tmp_path, "scan.dat", ".hidden")
    assert list(find_images(tmp_path / "scan.dat")) == [ImageRef(tmp_path / "scan.dat", "scan.dat")]
    assert rels(tmp_path / ".hidden") == [".hidden"]


def test_lists(tmp_path, monkeypatch):
    touch(tmp_path, "p/a/1.jpg", "p/b/1.jpg", "p/b/two words.dat", "lists/near.jpg")
    monkeypatch.chdir(tmp_path)
    listed = tmp_path / "p" / "list.txt"
    listed.write_bytes(
        b"\xef\xbb\xbfp/a/1.jpg\r\n\np/b/two words.dat\n" + b"p/b/gone.jpg\np/a/1.jpg"
    )
    source = find_images(f"@{listed}")
    assert [r.rel for r in source] == ["a/1.jpg", "b/two words.dat", "b/gone.jpg"]
    assert [r.rel for r in source] == ["a/1.jpg", "b/two words.dat", "b/gone.jpg"]
    assert source.root == tmp_path / "p"
    assert source.count() == 3
    # Relative to the list itself where the current folder has nothing.
    (tmp_path / "lists" / "l.txt").write_text("near.jpg\n")
    assert next(iter(find_images("@lists/l.txt"))).path == tmp_path / "lists" / "near.jpg"


def test_nul_separated_list_with_newlines_in_names(tmp_path):
    names = ["two\nlines.jpg", os.fsdecode(b"\xff.jpg"), " lead.jpg", "cr\r"]
    touch(tmp_path, *names)
    listed = tmp_path / "l0"
    listed.write_bytes(b"\0".join(os.fsencode(tmp_path / n) for n in names))
    assert rels(f"@{listed}") == names


def test_two_iterations_of_a_list_at_once(tmp_path):
    paths = [f"{tmp_path}/{'n' * 200}{i}.jpg" for i in range(1000)]  # several blocks
    (tmp_path / "l").write_text("\n".join(paths))
    source = find_images(f"@{tmp_path / 'l'}")
    pairs = list(zip(source, source, strict=True))
    assert [str(a.path) for a, _ in pairs] == paths
    assert all(a == b for a, b in pairs)


def test_stdin(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "a/2.jpg")
    monkeypatch.chdir(tmp_path)

    class Stdin:
        buffer = io.BytesIO(b"a/2.jpg\na/1.jpg\n")

    monkeypatch.setattr(sys, "stdin", Stdin)
    source = find_images("-")
    assert [r.rel for r in source] == ["2.jpg", "1.jpg"]
    assert [r.rel for r in source] == ["2.jpg", "1.jpg"]
    Stdin.buffer = io.BytesIO(b"\n\n")
    with pytest.raises(UsageError, match="standard input"):
        find_images("-")


@pytest.mark.posix
def test_a_list_from_a_pipe(tmp_path):
    """``camcli batch @<(find ...)``."""
    touch(tmp_path, "1.jpg", "2.jpg")
    reader, writer = os.pipe()
    os.write(writer, f"{tmp_path}/1.jpg\n{tmp_path}/2.jpg\n".encode())
    os.close(writer)
    source = find_images(f"@/dev/fd/{reader}")
    os.close(reader)
    assert source.count() == 2
    assert [r.rel for r in source] == ["1.jpg", "2.jpg"]


def test_several_arguments(tmp_path, monkeypatch):
    touch(tmp_path, "p/1.jpg", "q/1.jpg", "q/r/2.jpg", "s.dat")
    monkeypatch.chdir(tmp_path)
    assert rels(["p/1.jpg", "q", "s.dat", "q/r/*.jpg"]) == [
        "p/1.jpg",
        "q/1.jpg",
        "q/r/2.jpg",
        "s.dat",
    ]
    assert rels(["p/1.jpg", "typo.jpg"]) == ["p/1.jpg", "typo.jpg"]  # an error row, not the end
    assert rels([Path("p/1.jpg")]) == ["1.jpg"]
    assert rels(["p/1.jpg", "q/1.jpg"], labels="folder") == ["p/1.jpg", "q/1.jpg"]


def test_a_dotdot_behind_a_link_means_what_the_system_means(tmp_path, monkeypatch):
    touch(tmp_path, "far/deep/x", "far/1.jpg", "1.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    monkeypatch.chdir(tmp_path)
    source = find_images(["link/../1.jpg", "1.jpg"])
    assert [r.path for r in source] == [tmp_path / "far" / "1.jpg", tmp_path / "1.jpg"]
    assert [r.rel for r in source] == ["far/1.jpg", "1.jpg"]


NAMES = st.text(
    st.characters(exclude_characters="/\0\n\r", exclude_categories=["Cs"]), min_size=1, max_size=6
).filter(lambda n: n not in (".", ".."))
PARTS = st.lists(NAMES | st.just(".."), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), PARTS), min_size=1, max_size=8), st.booleans())
def test_relative_paths_of_any_list_are_unique_and_stay_inside(tmp_path_factory, entries, nul):
    folder = tmp_path_factory.getbasetemp()
    lines = [("/" if absolute else "") + "/".join(parts) for absolute, parts in entries]
    listed = folder / "any.txt"
    listed.write_bytes((b"\0" if nul else b"\n").join(os.fsencode(line) for line in lines))
    try:
        found = list(find_images(f"@{listed}"))
    except UsageError:
        # A byte order mark may be all there is.
        assert not b"".join(listed.read_bytes().split()).removeprefix(b"\xef\xbb\xbf")
        return
    unique = [ref.rel for ref in found]
    assert len(unique) == len(set(unique))
    for ref in found:
        parts = ref.rel.split("/")
        assert ".." not in parts
        assert "" not in parts
        assert ref.path.is_absolute()
    wanted = {os.path.realpath(line) for line in lines}
    assert len({os.path.realpath(ref.path) for ref in found}) <= len(wanted)


@pytest.mark.slow
def test_a_list_of_a_million_paths_stays_far_below_a_gigabyte(tmp_path):
    """By a fiftieth of it, whose peak is counted byte by byte."""
    count = 20_000
    (tmp_path / "short.txt").write_text("/photos/frame.jpg\n")
    assert sum(1 for _ in find_images(f"@{tmp_path / 'short.txt'}")) == 1  # its imports count not
    with (tmp_path / "list.txt").open("w") as file:
        file.writelines(f"/photos/{n // 1000:04}/frame_{n:07}.jpg\n" for n in range(count))
    tracemalloc.start()
    try:
        assert sum(1 for _ in find_images(f"@{tmp_path / 'list.txt'}")) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak * 50 < 400e6


# -- nothing there -----------------------------------------------------------------------------


def test_nothing_found_says_what_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for spec, words in {
        "missing": "missing",
        "missing/*.jpg": "missing",
        "*.jpg": r"\*\.jpg",
        "@missing.txt": "missing.txt",
        str(tmp_path): "No images in the folder",
        "": "empty",
    }.items():
        with pytest.raises(UsageError, match=words):
            find_images(spec)
    with pytest.raises(UsageError, match="No images named"):
        find_images([])
    touch(tmp_path, "sub/1.jpg")
    with pytest.raises(UsageError, match="sub-folders were not searched"):
        find_images(tmp_path, recursive=False)
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(UsageError, match=r"empty\.txt"):
        find_images("@empty.txt")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(UsageError, match=r"folder\.txt"):
        find_images("@folder.txt")


def test_a_folder_whose_files_have_no_endings_says_how_they_are_taken(tmp_path):
    touch(tmp_path, "photos/5f2a", "photos/77c1", "photos/.hidden", "none/readme.txt")
    with pytest.raises(UsageError, match=r"It has 5f2a, 77c1: .* a list, say, @list\.txt"):
        find_images(tmp_path / "photos")
    with pytest.raises(UsageError) as told:
        find_images(tmp_path / "none")
    assert "It has" not in str(told.value)
    # And so they are.
    (tmp_path / "list.txt").write_text("photos/5f2a\n")
    assert rels(f"@{tmp_path / 'list.txt'}") == ["5f2a"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_as_windows_writes_it(tmp_path, encoding, end):
    touch(tmp_path, "é/1.jpg", "😀.jpg")
    text = "".join(f"{tmp_path}/{name}{end}" for name in ("é/1.jpg", "😀.jpg"))
    (tmp_path / "list").write_bytes(text.encode(encoding))
    assert rels(f"@{tmp_path / 'list'}") == ["é/1.jpg", "😀.jpg"]


def test_a_list_that_begins_as_utf_16_and_is_none(tmp_path):
    (tmp_path / "list").write_bytes(b"\xff\xfe\x00\xd8\x00")
    with pytest.raises(UsageError, match="save it as UTF-8"):
        find_images(f"@{tmp_path / 'list'}")


def test_names_of_one_letter_between_nuls_are_no_utf_16(tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "a", "b", "c", "d"))
    (tmp_path / "list").write_bytes(b"a\0b\0c\0d\0")
    assert rels("@list") == ["a", "b", "c", "d"]


@pytest.mark.parametrize("limit", [sys.maxsize, 10**30])
def test_a_limit_beyond_all_there_is(tmp_path, limit):
    source = find_images(touch(tmp_path, "1.jpg"), limit=limit)
    assert len(list(source)) == source.count() == 1


def test_a_nul_in_a_name(tmp_path):
    with pytest.raises(UsageError, match=r"holds a NUL|No file or folder"):
        find_images("a\0b.jpg")


def test_a_line_of_a_list_never_ends_a_run(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    lines = ["a.jpg", "file://host/x.jpg", "ftp://h/x.jpg", "s3://", "nothere.jpg", "/dev/zero"]
    (tmp_path / "list").write_text("\n".join(lines))
    refs = list(find_images(f"@{tmp_path}/list"))
    assert len(refs) == len(lines)
    with pytest.raises(ImageError, match="on another machine"):
        refs[1].blob.read()


def test_a_tree_deeper_than_paths_may_be_long_is_not_passed_over_in_silence(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(25):  # 5,000 bytes
            os.mkdir("d" * 200, dir_fd=here)
            here, above = os.open("d" * 200, os.O_RDONLY, dir_fd=here), here
            os.close(above)
    finally:
        os.close(here)
    first, too_deep = find_images(tmp_path)
    assert first.rel == "a.jpg"
    with pytest.raises(ImageError, match="too long"):
        load_image(too_deep)


def test_a_tar_beside_pictures_is_passed_over_and_counted(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "more.tar").touch()
    source = find_images(tmp_path)
    assert [ref.rel for ref in source] == ["a.jpg"]
    assert source.left_out.note() == ("Left out: 1 tar file (name one as the source to take it).")


def test_a_line_that_is_no_name_of_a_file_gets_one_that_tables_hold(tmp_path):
    for name in ("a" * 240 + ".jpg", "b.jpg"):
        (tmp_path / name).touch()
    long = "x" * 200_000
    lines = [
        "a" * 240 + ".jpg",
        long,
        f"{long}y",
        f"c/{long}.jpg",
        "/".join(["d" * 200] * 30),
        "b.jpg",
    ]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    rels = [ref.rel for ref in find_images(f"@{tmp_path / 'list.txt'}")]
    assert rels[0].endswith("a" * 240 + ".jpg")
    assert rels[-1].endswith("b.jpg")
    assert len(set(rels)) == len(lines)
    assert max(map(len, rels)) <= 1200


@pytest.mark.parametrize("spec", ["noext/*", "noext/**", "*/*", "noext/[ab]", "noext"])
def test_files_without_an_ending_are_named_and_how_they_are_read(tmp_path, monkeypatch, spec):
    """A glob takes what is called like a picture; what it says instead does take the others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "noext").mkdir()
    for name in ("a", "b"):
        (tmp_path / "noext" / name).write_bytes(b"x")
    with pytest.raises(UsageError, match=r"a, b\b.*@list\.txt with one path a line"):
        find_images(spec)
    (tmp_path / "list.txt").write_text("noext/a\nnoext/b\n")
    assert [ref.path.name for ref in find_images("@list.txt")] == ["a", "b"]


def test_of_a_pattern_that_fits_nothing_no_ending_is_spoken_of(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(UsageError) as said:
        find_images(str(tmp_path / "*.jpg"))
    assert "ending" not in str(said.value)
