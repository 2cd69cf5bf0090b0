import cv2
import numpy as np
import pytest
from PIL import Image

from camcli.errors import UsageError
from camcli.evaluate.audit.audit import summarise
from camcli.evaluate.audit.cluster_pictures import CLUSTERS, cluster_strips, draw_clusters
from camcli.evaluate.audit.map_clusters import (
    TYPICAL,
    Cluster,
    Grouping,
    group,
    merged,
    most_clusters,
    stretched,
    texture_of,
)
from camcli.evaluate.audit.map_stats import THUMB, Fact
from camcli.evaluate.findings.finding import Finding


def thumb(*hot, value=1.0):
    heat = np.zeros((THUMB, THUMB), np.float32)
    for place in hot:
        heat[place] = value
    return heat


def fact(heat, *, prob=0.9, pred="a", rel="x", **more):
    return Fact(rel, pred, pred, prob, heat, not heat.any(), np.nan, 0.1, -1, **more)


def test_stretching_by_hand():
    heat = np.linspace(0.2, 0.4, 101).reshape(1, -1)
    found = stretched(heat)
    # The 2nd percentile is 0.204 and the 98th 0.396: (0.3 - 0.204) / 0.192 = 0.5.
    assert found[0, [0, 2, 50, 98, 100]] == pytest.approx([0, 0, 0.5, 1, 1])
    assert found[0, 26] == pytest.approx((0.252 - 0.204) / 0.192)
    assert not stretched(np.ones((3, 3))).any()


def test_merging_by_hand():
    """Two cells: the sure cluster looks at the first, half at the second; the other at both."""
    sure = Cluster(("a",), thumb((0, 0)) + thumb((0, 1), value=0.5), 0.9)
    other = Cluster(("b", "c", "d"), thumb((0, 0), (0, 1), (0, 2)), 0.4)
    found = merged([other, sure])
    # 0.9·1 + 0.4·1·(1 - 1); 0.9·0.5 + 0.4·1·(1 - 0.5); 0 + 0.4·1·1
    assert found[0, :4] == pytest.approx([0.9, 0.65, 0.4, 0])
    assert np.array_equal(found, merged([sure, other]))
    assert merged([other])[0, 0] == pytest.approx(0.4)


def test_texture_by_hand():
    """Left half one grey, right half stripes of 100 and 140: standard deviation 20 there."""
    rgb = np.full((224, 224, 3), 120, np.uint8)
    rgb[:, 112::2], rgb[:, 113::2] = 100, 140
    found = texture_of(rgb)
    assert found.shape == (THUMB, THUMB)
    # Cells have 14 pixels; the window of 17 reaches 8 pixels over the edge.
    assert not found[:, :7].any()
    assert (found[:, 8:] == 1).all()
    assert ((found[:, 7] > 0) & (found[:, 7] < 1)).all()
    # A standard deviation of 7 is still flat, one of 9 is not.
    for low, high, expected in ((113, 127, 0), (111, 129, 1)):
        rgb[:, ::2], rgb[:, 1::2] = low, high
        assert (texture_of(rgb) == expected).all()
    # A sky: grey levels that rise by 60 from top to bottom.
    sky = np.linspace(150, 210, 480)[:, None, None].repeat(640, 1).repeat(3, 2).astype(np.uint8)
    assert not texture_of(sky).any()


def test_few_photographs_make_few_clusters():
    assert [most_clusters(n) for n in (1, 2, 5, 6, 14, 30, 500)] == [1, 1, 1, 2, 4, 10, 10]
    maps = [thumb((n, n)) for n in range(7)]
    clusters = group([fact(heat, rel=str(n)) for n, heat in enumerate(maps)], Grouping()).clusters
    assert len(clusters["a"]) == 2


def test_clusters_of_the_stretched_and_of_the_masked_maps(tmp_path):
    rgb = np.full((224, 224, 3), 120, np.uint8)
    rgb[:, 112::2], rgb[:, 113::2] = 100, 140
    path = tmp_path / "half.png"
    Image.fromarray(rgb).save(path)
    both = thumb((3, 2), (3, 12))
    facts = [
        fact(both, rel="1", photo=path),
        fact(thumb((3, 2)), rel="2", photo=path),
        fact(thumb((3, 12)), rel="3", photo=path, prob=0.5),
        fact(thumb(), rel="empty", photo=path),
    ]
    plain = group(facts, Grouping(k=3))
    assert sorted(c.members for c in plain.clusters["a"]) == [("1",), ("2",), ("3",)]
    assert plain.textured == {}
    masked = group(facts, Grouping(k=2, texture=True))
    assert masked.textured == pytest.approx({("a", "1"): 0.5, ("a", "2"): 0, ("a", "3"): 1})
    first, second = masked.clusters["a"]
    assert first.members == ("1", "3")
    assert first.mean[3, 12] == 1
    assert first.mean.sum() == 1
    assert first.probability == pytest.approx(0.7)
    assert not second.mean.any()
    assert masked.number_of() == {("a", "1"): 0, ("a", "3"): 0, ("a", "2"): 1}
    # The most confident first, where they are merged.
    by_confidence = group(facts, Grouping(k=2, texture=True, merge=True))
    assert [c.members for c in by_confidence.clusters["a"]] == [("2",), ("1", "3")]
    # Maps of unlike contrast are one cluster once they are stretched.
    ramp = np.linspace(0, 1, THUMB * THUMB, dtype=np.float32).reshape(THUMB, THUMB)
    faint = [fact(v, rel=str(n)) for n, v in enumerate((ramp, 0.8 + 0.2 * ramp, 1 - ramp))]
    sizes = [len(c.members) for c in group(faint, Grouping(k=2, stretch=True)).clusters["a"]]
    assert sizes == [2, 1]
    assert np.allclose(stretched(faint[0].thumb), stretched(faint[1].thumb), atol=1e-5)


def test_a_photograph_that_is_gone_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"--texture.*gone\.jpg"):
        group([fact(thumb((1, 1)), photo=tmp_path / "gone.jpg")], Grouping(texture=True))


def regions(kinds, rng):
    """What is in the hottest region: of kind 0 the same thing, else anything."""
    same = rng.standard_normal(32)
    made = [same + 0.3 * rng.standard_normal(32) if k == 0 else rng.standard_normal(32)
            for k in kinds]  # fmt: skip
    return [(v / np.linalg.norm(v)).astype(np.float16) for v in made]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("spectral", [False, True])
def test_the_same_thing_anywhere_is_one_cluster(share, spectral):
    rng = np.random.default_rng(1)
    kinds = [0] * round(60 * share) + [1] * round(60 * (1 - share))
    maps = [thumb(tuple(rng.integers(0, THUMB, 2))) for _ in kinds]
    own = [
        fact(cv2.GaussianBlur(heat, (5, 5), 0), rel=f"{kind} {n}", region=region)
        for n, (kind, heat, region) in enumerate(zip(kinds, maps, regions(kinds, rng), strict=True))
    ]
    with_thing = {f.rel for f in own if f.rel.startswith("0")}
    clusters = group(own, Grouping(spectral=spectral)).clusters["a"]
    best = max(clusters, key=lambda c: len(with_thing & set(c.members)))
    assert with_thing <= set(best.members)
    assert len(best.typical) == TYPICAL
    assert set(best.typical) <= with_thing, "they are nearest to the centre"
    # By the place alone they are scattered.
    blind = [fact(f.thumb, rel=f.rel) for f in own]
    scattered = group(blind, Grouping()).clusters["a"]
    assert max(len(with_thing & set(c.members)) for c in scattered) < 0.7 * len(with_thing)


def test_the_same_thing_in_two_places_counts_less_than_two_things():
    thing, other = np.eye(16)[:2]
    own = [
        fact(thumb(place), rel=f"{name} {place} {n}", region=region.astype(np.float16))
        for name, region in (("one", thing), ("two", other))
        for place in ((1, 1), (14, 14))
        for n in range(5)
    ]
    two = group(own, Grouping(k=2)).clusters["a"]
    assert [len({m.split()[0] for m in c.members}) for c in two] == [1, 1]
    # Four are found, and those of the same thing put together.
    four = group(own, Grouping(k=4)).clusters["a"]
    assert [len({m.split()[0] for m in c.members}) for c in four] == [1, 1]
    blind = [fact(f.thumb, rel=f.rel) for f in own]
    places = group(blind, Grouping(k=2)).clusters["a"]
    assert [len({m.split()[0] for m in c.members}) for c in places] == [2, 2]


def test_where_some_regions_are_not_known_places_are_compared():
    rng = np.random.default_rng(3)
    known = regions([1] * 6, rng)
    own = [
        fact(thumb((n % 2, 0)), rel=str(n), region=None if n == 5 else known[n]) for n in range(6)
    ]
    members = sorted(c.members for c in group(own, Grouping(k=2)).clusters["a"])
    assert members == [("0", "2", "4"), ("1", "3", "5")]


def test_typical_photographs_are_nearest_to_the_centre():
    places = [(4, 4)] * 4 + [(4, 5), (12, 12)]
    own = [fact(thumb(place), rel=f"{n}") for n, place in enumerate(places)]
    (cluster,) = group(own, Grouping(k=1)).clusters["a"]
    assert cluster.typical[:4] == ("0", "1", "2", "3")
    assert len(cluster.typical) == 6


def test_pictures_show_the_options_and_typical_photographs(tmp_path):
    facts = [
        fact(thumb((0, 0)), rel="deep/1.png"),
        fact(thumb((15, 15)), rel="gone.png", prob=0.3),
    ]
    rows = summarise(facts, [Finding("mark", "a", "used", "", "", "")])
    asked = []

    def pixels(rel):
        asked.append(rel)
        return None if rel == "gone.png" else np.full((60, 120, 3), 200, np.uint8)

    def strips(grouping):
        return cluster_strips(facts, group(facts, grouping), rows, grouping, pixels)

    def picture(**how):
        grouping = Grouping(k=2, **how)
        return draw_clusters(strips(grouping), grouping)

    plain, merge = strips(Grouping(k=2)), strips(Grouping(k=2, merge=True))
    assert asked[:2] == ["deep/1.png", "gone.png"]
    assert [s.title for s in plain] == ["a (flagged): cluster 0", "a (flagged): cluster 1"]
    assert [s.words for s in plain] == ["1 photograph, p 0.90", "1 photograph, p 0.30"]
    assert [[text for text, _ in s.pictures] for s in plain] == [
        ["mean map", "deep/1.png"], ["mean map"],
    ]  # fmt: skip
    shown = plain[0].pictures[1][1]
    assert shown.shape == (60, 120, 3)
    assert shown[0, 0, 0] > shown[-1, -1, 0], "its top left corner is hot"
    assert [text for text, _ in merge[-1].pictures] == ["all clusters merged; dark red: p 1"]
    assert len(merge) == 3
    assert not np.array_equal(picture()[:30], picture(stretch=True)[:30]), "the title says so"
    assert picture(merge=True).shape[0] > picture().shape[0], "one row more"
    assert draw_clusters([], Grouping()) is None


def test_a_class_of_many_clusters_is_drawn_in_part():
    facts = [fact(thumb((n, n)), rel=str(n)) for n in range(7)]
    grouping = Grouping(k=7)
    found = cluster_strips(facts, group(facts, grouping), summarise(facts, []), grouping,
                           lambda rel: None)  # fmt: skip
    assert len(found) == CLUSTERS
    assert found[-1].title == "a: cluster 4 (2 more)"
