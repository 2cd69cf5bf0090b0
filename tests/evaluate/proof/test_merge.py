from dataclasses import replace

import pytest

from camcli.evaluate.findings.finding import Effect, Finding, Measured, Sighting
from camcli.evaluate.findings.suspect import Suspect
from camcli.evaluate.proof.merge import explained, merged

LINE = (0.1, 0.9, 0.6, 0.97)


def suspect(kind="mark", regions=LINE, photographs=range(50), *, label="alpha", effect=0.8, **more):
    where = {f"{n}.jpg": regions for n in photographs}
    return Suspect(kind, label, kind, where, 60, 2, 60, effect, 1e-6, None, **more)


def kinds(found):
    return [(s.kind, s.effect) for s in found]


def test_the_same_place_in_the_same_photographs_is_one_suspect():
    a = suspect(effect=0.8, having=frozenset({"x.jpg"}))
    b = suspect(regions=(0.12, 0.88, 0.62, 0.98), photographs=range(5, 52), effect=0.7,
                having=frozenset({"y.jpg", "3.jpg"}))  # fmt: skip
    for some in ([a, b], [b, a]):
        (found,) = merged(some)
        assert found.effect == 0.8
        assert found.having == {"x.jpg", "y.jpg"}, "and not what is among its own photographs"


@pytest.mark.parametrize(
    "other",
    [
        suspect(label="beta", effect=0.7),
        suspect(regions=(0.1, 0.1, 0.3, 0.2), effect=0.7),
        suspect(photographs=range(42, 92), effect=0.7),
        suspect("brightness", None, effect=0.7),
    ],
    ids=["another class", "another place", "other photographs", "a property"],
)
def test_what_differs_stays(other):
    assert len(merged([suspect(), other])) == 2


def test_two_detectors_may_see_a_mark_in_different_photographs():
    one, other = suspect(photographs=range(14)), suspect(photographs=range(10, 27), effect=0.7)
    assert kinds(merged([other, one])) == [("mark", 0.8)]
    assert len(merged([one, replace(other, regions=dict(list(other.regions.items())[2:]))])) == 2


def test_a_piece_of_a_frame_is_the_frame():
    piece = suspect(regions=(0.0, 0.3, 0.05, 0.7), effect=0.9)
    frame = suspect("frame", None, effect=0.85)
    assert kinds(merged([piece, frame])) == [("frame", 0.85)]
    # What is hardly associated is no explanation for what is; and a mark in the middle is none.
    assert kinds(merged([piece, replace(frame, effect=0.3)])) == [("mark", 0.9)]
    middle = suspect(regions=(0.4, 0.4, 0.6, 0.6), effect=0.9)
    assert kinds(merged([middle, frame])) == [("mark", 0.9), ("frame", 0.85)]


def test_heat_is_proved_beside_the_mark_that_it_is_on():
    """The mark may be a piece of what is used; they are told together once both are proved."""
    mark = suspect(effect=0.6)
    corner = suspect("corner", (0.0, 0.75, 0.25, 1.0), effect=0.9, photographs=range(400))
    assert len(merged([corner, mark])) == 2
    border = suspect("border", None, effect=0.5)
    assert len(merged([suspect("frame", None), border])) == 2
    assert kinds(merged([border, replace(border, effect=0.4)])) == [("border", 0.5)]


def test_a_piece_of_a_larger_mark_is_proved_as_well():
    line = suspect(regions=(0.5, 0.9, 0.9, 0.98), effect=0.7)
    word = suspect(regions=(0.52, 0.91, 0.7, 0.96), effect=0.9)
    assert len(merged([line, word])) == 2
    about = suspect(regions=(0.5, 0.9, 0.85, 0.97), effect=0.6)
    assert kinds(merged([line, about])) == [("mark", 0.7)]


def test_places_differ_from_photograph_to_photograph():
    """A sticker anywhere, found by two detectors."""
    places = {f"{n}.jpg": (n / 100, 0.2, n / 100 + 0.1, 0.3) for n in range(50)}
    moved = {rel: (r[0] + 0.01, *r[1:]) for rel, r in places.items()}
    fixed = dict.fromkeys(places, (0.0, 0.2, 0.1, 0.3))
    a, b, c = (replace(suspect(), regions=regions) for regions in (places, moved, fixed))
    assert len(merged([a, b])) == 1
    assert len(merged([a, c])) == 2


# -- after the proof -----------------------------------------------------------------------------


def effect(beyond):
    none, some = Measured(0, 0, 0), Measured(beyond, beyond, beyond)
    return Effect("applied", "another", 50, some, none, some, none, none)


def finding(kind, verdict="used", beyond=0.5, photographs=range(50), label="alpha"):
    seen = tuple(Sighting(f"{n}.jpg") for n in photographs)
    return Finding(kind, label, verdict, kind, "Words.", "", seen, add=effect(beyond))


def test_what_goes_with_a_frame_is_told_with_it():
    found = explained(
        [
            finding("brightness", beyond=0.9), finding("frame"), finding("border", beyond=0.1),
            finding("contrast", "not used", 0.0, range(450)),
        ]
    )  # fmt: skip
    assert [f.kind for f in found] == ["frame"]
    assert found[0].words == (
        "Words. What goes with it in the same photographs: heat at the border (put on alone it "
        "turns 10%), brightness (put on alone it turns 90%), contrast."
    )


def test_the_property_that_turns_more_names_the_other():
    (found,) = explained([finding("saturation", beyond=0.2), finding("colour cast", beyond=0.6)])
    assert found.kind == "colour cast"
    assert "saturation" in found.words


def test_a_piece_of_a_mark_that_does_nothing_alone_is_told_with_the_mark():
    def at(region, verdict):
        seen = tuple(Sighting(f"{n}.jpg", region) for n in range(40))
        return replace(finding("mark", verdict, 0.0 if verdict != "used" else 0.7), sightings=seen)

    whole = at((0.1, 0.8, 0.9, 1.0), "used")
    piece, apart = at((0.7, 0.75, 0.95, 0.9), "not used"), at((0.1, 0.1, 0.3, 0.3), "not used")
    found = explained([whole, piece, apart])
    assert found[1:] == [apart]
    assert found[0].words.endswith("What goes with it in the same photographs: a piece of it.")
    assert len(explained([whole, at((0.7, 0.75, 0.95, 0.9), "used")])) == 2
    assert len(explained([whole, at((0.2, 0.85, 0.5, 0.95), "used")])) == 1
    corner = replace(finding("corner", beyond=0.9), sightings=at((0.7, 0.7, 1, 1), "").sightings)
    assert len(explained([corner, piece])) == 1


@pytest.mark.parametrize(
    ("main", "other"),
    [
        (finding("frame"), finding("brightness", label="beta")),
        (finding("frame"), finding("brightness", photographs=range(45, 100))),
        (finding("frame"), finding("camera", "unproved")),
        (finding("frame"), finding("mark")),
        (finding("frame", "not used"), finding("brightness")),
        (finding("frame", "unproved"), finding("brightness", "unproved")),
        (finding("corner"), finding("blur")),
    ],
    ids=["class", "photographs", "camera", "mark", "unused", "unproved", "heat"],
)
def test_what_does_not_go_with_it_stays(main, other):
    assert explained([main, other]) == [main, other]
