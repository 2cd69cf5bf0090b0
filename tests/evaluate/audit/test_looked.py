"""Photographs of each class, drawn by chance and always the same."""

from pathlib import Path

from camcli.data.sources.refs import ImageRef
from camcli.evaluate.audit.looked import sampled, shuffled
from camcli.evaluate.findings.audited_photo import AuditedPhoto

SIZES = {"a": 40, "b": 9}


def photo(rel, pred, label=None):
    return AuditedPhoto(ImageRef(Path(rel), rel, None), label, pred, 0.9, (8, 8))


def test_a_sample_of_each_class_is_the_same_every_time_and_in_whatever_order():
    photos = [
        photo(f"{name}/{n}", name) for name, many in (("a", 40), ("b", 9)) for n in range(many)
    ]
    drawn = sampled(photos, 10)
    assert {name: len(own) for name, own in drawn.items()} == {"a": 10, "b": 9}
    again = sampled(photos[::-1], 10)
    assert [p.rel for p in again["a"]] == [p.rel for p in drawn["a"]]
    alone = sampled(photos[:40], 10)
    assert [p.rel for p in alone["a"]] == [p.rel for p in drawn["a"]]
    assert len({p.rel for p in drawn["a"]}) == 10


def test_mistakes_are_left_out_where_there_are_enough_others():
    right = [photo(f"r{n}", "a", "a") for n in range(40)]
    wrong = [photo(f"w{n}", "a", "b") for n in range(50)]
    assert all(p.right for p in sampled(right + wrong, 60)["a"])
    few = sampled(right[:10] + wrong, 60)["a"]
    assert (len(few), sum(p.right for p in few)) == (30, 10)
    assert len(sampled(right[:10] + wrong, 12)["a"]) == 12


def test_what_is_no_class_of_the_network_is_left_out():
    photos = [photo("1", "a"), photo("2", "not a")]
    assert list(sampled(photos, 5, ["a", "b"])) == ["a"]
    assert list(sampled(photos, 5)) == ["a", "not a"]


def test_shuffled_loses_nothing():
    mixed = shuffled(range(50))
    assert sorted(mixed) == list(range(50))
    assert mixed == shuffled(range(50)) != list(range(50))
