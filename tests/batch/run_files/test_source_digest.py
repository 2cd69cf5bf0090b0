"""Shards of one run must have found the same images: told apart by a few bytes."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from camcli.batch.run_files.source_digest import Listing
from camcli.data.sources.refs import ImageRef


def record(names):
    listing = Listing()
    refs = [ImageRef(Path("/d") / name, name) for name in names]
    assert list(listing.watch(refs)) == refs
    return listing.record()


names = st.lists(st.text("abß/.", min_size=1, max_size=3), max_size=5)


@given(names, names)
def test_equal_for_equal_names_in_equal_order_and_for_nothing_else(one, other):
    assert (record(one) == record(other)) == (one == other)
    assert record(one)["images"] == len(one)


def test_names_do_not_run_together():
    assert record(["ab", "c"]) != record(["a", "bc"])


def test_nothing_is_known_before_the_end():
    listing = Listing()
    refs = [ImageRef(Path(f"/d/{n}"), str(n)) for n in range(3)]
    stream = listing.watch(refs)
    assert listing.record() is None
    next(stream)
    assert listing.record() is None
    list(stream)
    whole = listing.record()
    assert whole["images"] == 3
    # Walked once more, it begins anew.
    assert list(listing.watch(refs)) == refs
    assert listing.record() == whole
    next(listing.watch(refs))
    assert listing.record() is None


def test_names_that_are_no_unicode():
    assert record(["\udcff.jpg"]) != record(["\udcfe.jpg"])
