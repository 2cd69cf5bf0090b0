import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.linear_model import LogisticRegression

from camcli.data.sources.refs import ImageRef
from camcli.data.synthetic.scenes import Shortcut, draw_scenes
from camcli.evaluate.audit.audit import rank_test, sameness, summarise, suspicions
from camcli.evaluate.audit.heat_suspects import heat_suspects
from camcli.evaluate.audit.map_stats import Fact, border_of, corner_of, fact_of, stray_heat
from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.finding import Finding
from camcli.evaluate.measured.square_canvas import fill
from camcli.evaluate.proof.prove import prove
from camcli.models.cutting.cut import LinearHead
from camcli.models.load import load_classifier
from camcli.train.progress import Listener

WHOLE, SIZE = (0.0, 0.0, 448.0, 448.0), (448, 448)


def fact(label, *, stray=math.nan, border=0.1, corner=-1, pred=None, empty=False, rel="x"):
    thumb = np.zeros((16, 16), np.float32)
    return Fact(rel, label, pred or label, 0.9, thumb, empty, stray, border, corner)


def test_rank_test_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.integers(3, 9, 20), rng.integers(0, 8, 33)
    expected = mannwhitneyu(a, b, alternative="greater", method="asymptotic").pvalue
    assert rank_test(a, b) == pytest.approx(expected)
    assert rank_test([1, 1], [1, 1]) == 1


def test_stray_heat_by_hand():
    # 7x7 cells of 32 canvas pixels; the object fills cell (3, 3); its margin of 18 pixels touches
    # the eight cells around it.
    mask = fill(np.array([[96, 96, 128, 128]]))
    heat = np.zeros((7, 7), np.float32)
    heat[3, 3], heat[2, 3], heat[2, 2], heat[3, 5], heat[0, 0] = 1, 0.9, 0.8, 0.4, 0.3
    assert stray_heat(heat, WHOLE, SIZE, mask) == (pytest.approx(0.4), (3, 5))
    # Seen through the right half only, cell (3, 3) of the map lies elsewhere.
    assert stray_heat(heat, (224, 0, 448, 448), SIZE, mask) == (1, (3, 3))
    assert math.isnan(stray_heat(heat, WHOLE, SIZE, mask & False)[0])
    assert math.isnan(stray_heat(heat, WHOLE, SIZE, ~(mask & False))[0])


def test_border_and_corner():
    heat = np.zeros((10, 10), np.float32)
    heat[0, 9] = 1
    assert border_of(heat) > 0.5
    assert corner_of(heat) == 1
    assert [corner_of(np.rot90(heat, n)) for n in (1, 2, 3)] == [0, 2, 3]
    heat[5, 5] = 2
    assert corner_of(heat) == -1
    assert border_of(np.ones((7, 7), np.float32)) == pytest.approx(0.36)


def test_an_empty_map_is_a_fact_without_numbers():
    found = fact_of(-np.ones((3, 3), np.float32), WHOLE, SIZE, rel="x", label="a", pred="a", prob=1)
    assert found.empty
    assert found.corner == -1
    assert not suspicions([found] * 20)


def test_only_a_large_and_certain_difference_is_flagged():
    rng = np.random.default_rng(0)
    even = [fact(c, stray=float(v)) for c in "abcd" for v in rng.normal(0.2, 0.1, 12)]
    assert not suspicions(even)
    planted = [
        fact("e", stray=float(v), rel=f"e/{n}") for n, v in enumerate(rng.normal(0.5, 0.1, 12))
    ]
    (found,) = suspicions(even + planted)
    assert (found.label, found.kind) == ("e", "stray")
    assert len(found.examples) == 5
    assert found.value > 0.4 > found.others
    # Wrong predictions of a class say nothing about what its correct ones rest on.
    wrong = [replace(f, label="a") for f in planted]
    assert not suspicions(even + wrong)
    assert not suspicions(even + planted[:4])
    used = Finding("stray", "e", "used", "", "", "")
    (row, *rest) = summarise(even + planted, [used, replace(used, label="a", verdict="not used")])
    assert (row.label, row.flags, row.right, row.count) == ("e", ("stray",), 12, 12)
    assert all(not r.flags for r in rest)


def test_stray_heat_on_the_same_thing_is_flagged_and_on_clutter_is_not():
    rng = np.random.default_rng(0)

    def own(label, alike):
        thing = rng.random(64)
        for v in rng.normal(0.4 if label == "m" else 0.2, 0.05, 12):
            patch = np.clip(thing * alike + rng.exponential(1, 64), 0, None)
            yield replace(fact(label, stray=float(v)), patch=patch / np.linalg.norm(patch))

    others = [f for c in "abc" for f in own(c, 0)]
    (found,) = suspicions(others + list(own("m", 9)))
    assert found.label == "m"
    assert found.sameness > 0.8
    assert not suspicions(others + list(own("m", 0)))


def test_sameness_is_the_mean_of_the_cosines():
    a, b, c = np.eye(3)
    facts = [replace(fact("x"), patch=p) for p in (a, b, (a + c) / 2**0.5)]
    assert sameness(facts) == pytest.approx((0 + 0.5**0.5 + 0) / 3)
    assert math.isnan(sameness(facts[:1]))


def test_the_same_corner_again_and_again():
    rng = np.random.default_rng(0)
    other = [fact(c, corner=int(v)) for c in "abc" for v in rng.integers(-1, 4, 20)]
    assert not suspicions(other)
    marked = [fact("m", corner=3, border=0.6) for _ in range(20)]
    (found,) = suspicions(other + marked)
    assert (found.label, found.kind) == ("m", "corner")


# -- the drawn scenes: a mark gives one class away -----------------------------------------------

FRUITS = ("apple", "banana", "cherry", "grapes", "lemon")


def audit_scenes(seed, planted, *, train=20, test=20, classifier=None, known=None):
    """Suspicions of `look_at_scenes`."""
    return suspicions(look_at_scenes(seed, planted, train, test, classifier, known)[0])


def look_at_scenes(seed, planted, train=20, test=20, classifier=None, known=None):
    """Train a head on frozen features of drawn scenes and look at others.

    Scenes whose features are `known` (by their pixels) are not looked at again: without a mark,
    most of a set is as it was.

    Returns:
        What its maps say of each, the network, and the pixels of each, by the facts' names.
    """
    classifier = classifier or load_classifier(input_size=320, fit="squash")
    known = {} if known is None else known
    shortcut = Shortcut(planted) if planted else None
    scenes = {
        split: list(draw_scenes(count, classes=FRUITS, seed=seed, split=split, shortcut=shortcut))
        for split, count in (("train", train), ("test", test))
    }

    def features(some):
        keys = [s.rgb.tobytes() for s in some]
        new = {k: classifier.preprocess.pixels(s.rgb) for k, s in zip(keys, some, strict=True)
               if k not in known}  # fmt: skip
        names = list(new)
        for i in range(0, len(names), 8):
            part = names[i : i + 8]
            A = classifier(torch.stack([new[k] for k in part]))[0]
            known.update(zip(part, A, strict=True))
        return torch.stack([known[k] for k in keys])

    pooled = features(scenes["train"]).mean((2, 3)).double()
    mean, unit = pooled.mean(0), float((pooled - pooled.mean(0)).square().mean().sqrt())
    solver = LogisticRegression(C=1.0, max_iter=300)
    solver.fit(((pooled - mean) / unit).numpy(), [FRUITS.index(s.label) for s in scenes["train"]])
    weight = torch.from_numpy(solver.coef_) / unit
    head = LinearHead(weight.float(), (torch.from_numpy(solver.intercept_) - weight @ mean).float())
    A = features(scenes["test"])
    logits = head(A)
    # The contrast map of the predicted class: what speaks for it rather than for any class.
    W = head.weight[logits.argmax(1)] - head.weight.mean(0)
    maps = torch.einsum("bk,bkhw->bhw", W, A).numpy()
    evidence = (W.clamp(min=0)[:, :, None, None] * A).numpy()
    facts = [
        fact_of(
            m, (0, 0, 160, 160), (160, 160), rel=str(n), label=s.label,
            pred=FRUITS[int(row.argmax())], prob=float(row.softmax(0).max()),
            mask=_canvas(s.mask), evidence=e,
        )
        for n, (m, e, s, row) in enumerate(
            zip(maps, evidence, scenes["test"], logits, strict=True)
        )
    ]  # fmt: skip
    network = replace(classifier, tail=head, head=head, classes=FRUITS, cut=None)
    return facts, network, {str(n): s.rgb for n, s in enumerate(scenes["test"])}


def _canvas(mask):
    from camcli.evaluate.measured.annotations import truth_of

    return truth_of(mask.shape[::-1], mask=mask).mask


@pytest.mark.slow  # two sets of scenes
def test_a_planted_mark_is_found_and_a_clean_set_is_clean():
    """benchmarks/audit.py does this for twenty seeds of each."""
    found = audit_scenes(2, "cherry", test=12)
    assert [(s.label, s.kind) for s in found] == [("cherry", "stray")]
    assert audit_scenes(2, None, test=12) == []


def prove_scenes(seed, planted, **how):
    """What `look_at_scenes` makes suspicious, taken away and put on."""
    facts, network, pictures = look_at_scenes(seed, planted, **how)
    photos = {
        f.rel: AuditedPhoto(ImageRef(Path(f.rel), f.rel, f.label), f.label, f.pred, f.prob, SIZE)
        for f in facts
    }

    def pixels(photo):
        return pictures[photo.rel]

    suspects = heat_suspects(facts, suspicions(facts), photos, pixels)
    return prove(network, suspects, list(photos.values()), pixels, Clock(), Listener())


@pytest.mark.slow  # a set of scenes, and a hundred changed ones
def test_a_planted_mark_is_proved():
    (found,) = prove_scenes(2, "cherry")
    assert (found.label, found.kind, found.verdict) == ("cherry", "stray", "used")
    assert found.remove.log_odds.high < -1 < found.remove.control_log_odds.low
