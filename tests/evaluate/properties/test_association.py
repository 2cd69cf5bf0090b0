"""Which properties are told, of classes that differ by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.properties.association import MOST_CLASSES, telling_properties
from camcli.evaluate.properties.file_facts import FileFacts
from camcli.evaluate.properties.measure import PhotoProperties


def usual(rng):
    """A photograph that is like any other."""
    tones = np.sort(rng.uniform(20, 235, (3, 5)), axis=1)
    return PhotoProperties(
        width=int(rng.choice([500, 375, 499, 333])),
        height=int(rng.choice([500, 375, 400])),
        brightness=rng.normal(52, 10),
        contrast=rng.normal(23, 4),
        saturation=abs(rng.normal(15, 6)),
        cast=tuple(rng.normal((1.4, 3.4), (2.7, 4.2))),
        highlights=tuple(rng.normal((0, 2), (5.7, 9.2))),
        tint=tuple(rng.normal(0, 0.12, 2)),
        grey=False,
        blur=float(np.exp(rng.normal(-0.1, 0.14))),
        noise=abs(rng.normal(0.8, 0.3)),
        tones=tuple(map(tuple, tones.tolist())),
        falloff=rng.normal(0, 0.25),
        rings=tuple(np.cumsum(rng.normal(0, 0.1, 6)).tolist()),
        spectrum=tuple(rng.normal(3, 1, 48)),
        file=FileFacts(format="JPEG", quality=92, tables="quality 92, 4:2:0"),
    )


def photographs(*counts, seed=0):
    """Properties of so many photographs of classes a, b, c ..., and their class."""
    rng = np.random.default_rng(seed)
    labels = {
        f"{name}/{n}.jpg": name
        for name, count in zip("abcdefgh", counts, strict=False)
        for n in range(count)
    }
    return {rel: usual(rng) for rel in labels}, labels


def planted(properties, labels, change, share=0.9, name="a"):
    """Changed in a share of a class."""
    own = [rel for rel in properties if labels[rel] == name]
    few = own[: round(share * len(own))]
    return {**properties, **{rel: change(properties[rel]) for rel in few}}, few


def told(properties, labels, predicted=None):
    return telling_properties(properties, predicted or labels, labels, Clock())


def test_of_alike_photographs_nothing_is_told():
    for seed in range(20):
        assert told(*photographs(60, 60, seed=seed)) == []
    assert told(*photographs(*[40] * 8)) == []


CHANGES = {
    "blur": lambda p: replace(p, blur=2.1, noise=0.3),
    "noise": lambda p: replace(p, noise=6.0),
    "brightness": lambda p: replace(p, brightness=p.brightness - 30),
    "darker corners": lambda p: replace(p, falloff=p.falloff - 0.8),
    "contrast": lambda p: replace(p, contrast=p.contrast - 12),
    "saturation": lambda p: replace(p, saturation=p.saturation + 20),
    "colour cast": lambda p: replace(
        p,
        cast=(p.cast[0], p.cast[1] + 9),
        highlights=(p.highlights[0], p.highlights[1] + 22),
        tint=(p.tint[0], p.tint[1] + 0.4),
        saturation=p.saturation + 6,
    ),
    "grey": lambda p: replace(p, grey=True, saturation=0.0, cast=(0.0, 0.0)),
    "size": lambda p: replace(p, width=p.width // 3, height=p.height // 3),
    "aspect": lambda p: replace(p, width=500, height=281),
    "jpeg quality": lambda p: replace(p, file=FileFacts(format="JPEG", quality=40)),
    "camera": lambda p: replace(p, file=replace(p.file, camera="Canon EOS 5D")),
    "software": lambda p: replace(p, file=replace(p.file, software="Gimp")),
    "date": lambda p: replace(p, file=replace(p.file, year=2019, month=7, hour=12)),
    "file format": lambda p: replace(p, file=FileFacts(format="PNG")),
}


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("classes", [2, 4])
def test_a_property_is_told_once_with_its_class_and_photographs(kind, classes):
    properties, labels = photographs(*[60] * classes, seed=classes)
    properties, few = planted(properties, labels, CHANGES[kind])
    found = told(properties, labels)
    told_as = "brightness" if kind == "darker corners" else kind
    assert [(each.kind, each.label) for each in found] == [(told_as, "a")]
    only = found[0]
    assert kind != "darker corners" or kind in only.what
    assert only.effect > 0.7
    assert only.p < 1e-6
    assert (only.looked, only.elsewhere_looked) == (60, 60 * (classes - 1))
    assert len(set(only.regions) & set(few)) >= 46
    assert only.elsewhere == len(only.having)
    assert only.elsewhere <= 0.25 * only.elsewhere_looked
    assert only.what


def test_the_effect_of_a_number_is_scipys_auc():
    properties, labels = photographs(70, 50)
    properties, _ = planted(properties, labels, CHANGES["brightness"], 0.8)
    own, others = (
        [properties[rel].brightness for rel in labels if labels[rel] == name] for name in "ab"
    )
    area = stats.mannwhitneyu(own, others).statistic / len(own) / len(others)
    assert told(properties, labels)[0].effect == pytest.approx(abs(2 * area - 1))


def test_the_effect_of_a_name_is_the_difference_of_shares():
    properties, labels = photographs(50, 50)
    properties, _ = planted(properties, labels, CHANGES["camera"], 0.8)
    properties, _ = planted(properties, labels, CHANGES["camera"], 0.1, "b")
    (found,) = told(properties, labels)
    assert found.effect == pytest.approx(0.7)
    assert (found.present, found.looked, found.elsewhere, found.elsewhere_looked) == (40, 50, 5, 50)
    assert "Canon EOS 5D" in found.what
    assert found.change is None


def test_what_follows_from_the_same_cause_is_named_beside_it():
    properties, labels = photographs(60, 60)
    properties, _ = planted(properties, labels, CHANGES["blur"])
    (found,) = told(properties, labels)
    assert "2.1 pixels" in found.what
    assert "and with it less noise" in found.what


def test_less_noise_goes_with_blur_and_finer_edges_with_noise():
    properties, labels = photographs(60, 60)
    rough, _ = planted(properties, labels, lambda p: replace(p, noise=7.0, blur=0.7 * p.blur))
    (found,) = told(rough, labels)
    assert (found.kind, found.label) == ("noise", "a")
    assert "and with it sharper edges" in found.what


def test_the_colour_of_things_is_not_that_of_the_light():
    """Apples before a white wall: their edges are red, and the highlights are white."""
    properties, labels = photographs(60, 60)
    properties = {rel: replace(p, highlights=(0.0, 0.0)) for rel, p in properties.items()}
    red, _ = planted(
        properties,
        labels,
        lambda p: replace(p, tint=(p.tint[0] + 0.6, 0.2), cast=(p.cast[0] + 4, p.cast[1])),
    )
    assert told(red, labels) == []


def test_what_differs_from_class_to_class_is_told_of_the_most_different_ones_only():
    properties, labels = photographs(*[12] * 8)
    more = {f"{n}{rel}": p for n in range(4) for rel, p in properties.items()}
    names = {f"{n}{rel}": f"{n}{labels[rel]}" for n in range(4) for rel in properties}
    light = {name: 8.0 + 2.6 * n for n, name in enumerate(sorted(set(names.values())))}
    shaded = {rel: replace(p, brightness=light[names[rel]]) for rel, p in more.items()}
    found = told(shaded, names)
    assert 2 <= len(found) <= MOST_CLASSES
    assert {each.kind for each in found} == {"brightness"}


def test_two_causes_are_two():
    properties, labels = photographs(60, 60)
    properties, _ = planted(properties, labels, CHANGES["blur"])
    properties, _ = planted(properties, labels, CHANGES["jpeg quality"], name="b")
    assert {(each.kind, each.label) for each in told(properties, labels)} == {
        ("blur", "a"),
        ("jpeg quality", "b"),
    }


def test_what_no_pixel_shows_hides_nothing_that_pixels_show():
    properties, labels = photographs(60, 60)

    def taken_by_one_camera(p):
        return replace(CHANGES["brightness"](p), file=replace(p.file, camera="Canon EOS 5D"))

    properties, _ = planted(properties, labels, taken_by_one_camera)
    assert {each.kind for each in told(properties, labels)} == {"brightness", "camera"}


def test_two_classes_may_each_have_their_own():
    properties, labels = photographs(60, 60, 60, 60)
    for name in "ab":
        properties, _ = planted(properties, labels, CHANGES["noise"], name=name)
    assert {(each.kind, each.label) for each in told(properties, labels)} == {
        ("noise", "a"),
        ("noise", "b"),
    }


def test_the_label_must_go_with_it_as_well():
    """A head on meaningless labels predicts by something, and that is not in the labels."""
    properties, labels = photographs(60, 60)
    bright = np.median([each.brightness for each in properties.values()])
    predicted = {rel: "a" if p.brightness > bright else "b" for rel, p in properties.items()}
    assert told(properties, labels, predicted) == []
    unknown = telling_properties(properties, predicted, dict.fromkeys(labels), Clock())
    assert [each.kind for each in unknown] == ["brightness"]


def test_the_prediction_must_go_with_it_as_well():
    properties, labels = photographs(60, 60)
    properties, _ = planted(properties, labels, CHANGES["brightness"])
    rng = np.random.default_rng(3)
    assert told(properties, labels, {rel: str(rng.choice(["a", "b"])) for rel in labels}) == []


def test_labels_that_are_no_classes_are_as_good_as_none():
    properties, labels = photographs(60, 60)
    properties, _ = planted(properties, labels, CHANGES["blur"])
    foreign = {rel: f"n0{label}" for rel, label in labels.items()}
    found = telling_properties(properties, labels, foreign, Clock())
    assert [each.kind for each in found] == ["blur"]


def test_a_difference_that_does_not_matter_is_not_told():
    properties, labels = photographs(200, 200)
    flat = {rel: replace(p, brightness=52.0) for rel, p in properties.items()}
    flat, _ = planted(flat, labels, lambda p: replace(p, brightness=53.0), 1.0)
    assert told(flat, labels) == []


def test_a_class_of_few_photographs_is_not_compared():
    properties, labels = photographs(8, 60)
    properties, _ = planted(properties, labels, CHANGES["blur"], 1.0)
    assert told(properties, labels) == []


def test_numbers_that_some_photographs_do_not_have():
    properties, labels = photographs(60, 60)
    properties, _ = planted(properties, labels, CHANGES["blur"])
    for rel in list(labels)[::3]:
        properties[rel] = replace(properties[rel], blur=None)
    (found,) = told(properties, labels)
    assert found.kind == "blur"
    assert not set(list(labels)[::3]) & (set(found.regions) | found.having)


def test_without_photographs_or_time_nothing_is_told():
    assert telling_properties({}, {}, {}, Clock()) == []
    properties, labels = photographs(20, 20)
    clock = Clock(0)
    assert telling_properties(properties, labels, labels, clock) == []
    assert clock.skipped == ["some properties of whole photographs, for want of time"]
