"""On real photographs: a sticker anywhere is one cluster, and its typical photographs show it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from camcli.data.decode.images import load_image
from camcli.data.sources.find import find_images
from camcli.evaluate.audit.audit_inputs import from_photographs
from camcli.evaluate.audit.map_clusters import TYPICAL, Grouping, group
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.measured.seen import see_photographs
from camcli.render.picture import encode_png

pytestmark = pytest.mark.slow  # the bundled network sees some photographs twice


@pytest.fixture(scope="module")
def marked(test_data, tmp_path_factory):
    """Cats, half of which have a round sticker at a random place."""
    cats = sorted((test_data / "cats-dogs").rglob("cat*.jpg"))[:60]
    if len(cats) < 60:
        pytest.skip("there are no cats in the test data")
    folder, draw = tmp_path_factory.mktemp("marked"), np.random.default_rng(5)
    for number, path in enumerate(cats):
        rgb = cv2.resize(load_image(path), (288, 224), interpolation=cv2.INTER_AREA)
        if number % 2:
            x, y = (int(draw.integers(30, side - 30)) for side in (288, 224))
            cv2.circle(rgb, (x, y), 26, (250, 240, 40), -1)
            cv2.circle(rgb, (x, y), 18, (200, 20, 120), 5)
            cv2.line(rgb, (x - 12, y), (x + 12, y), (0, 60, 200), 6)
        name = folder / ("with" if number % 2 else "without") / f"{number}.png"
        name.parent.mkdir(exist_ok=True)
        name.write_bytes(encode_png(rgb))
    return list(find_images(folder, labels="folder"))


def test_a_sticker_anywhere_is_one_cluster(bundled, marked):
    how = replace(bundled, preprocess=replace(bundled.preprocess, fit="squash"))
    seen = {s.ref.rel: s.features.mean((1, 2)) for s in see_photographs(how, marked, {},
            features=True)}  # fmt: skip
    # The head that tells the sticker from none: the difference of the means.
    X = torch.stack([seen[ref.rel] for ref in marked]).double()
    X -= X.mean(0)
    y = torch.tensor([1.0 if ref.rel.startswith("with/") else -1.0 for ref in marked]).double()
    w = X.T @ y / len(y)
    # All logits but the sticker's are the same, so it is always what is predicted.
    weight = torch.zeros_like(bundled.head.weight)
    weight[0] = w.float()
    bias = torch.zeros_like(bundled.head.bias)
    bias[0] = 100.0
    head = replace(bundled.head, weight=weight, bias=bias)
    blind = replace(how, head=head, tail=head, cut=None)
    looked = from_photographs(
        blind, marked, "cam", None, failed=pytest.fail, progress=lambda: None,
        clock=Clock(),
    )  # fmt: skip
    facts = [replace(fact, pred="sticker") for fact in looked.facts if not fact.empty]
    assert len(facts) > 40
    with_sticker = {fact.rel for fact in facts if fact.rel.startswith("with/")}
    clusters = group(facts, Grouping()).clusters["sticker"]
    best = max(clusters, key=lambda c: len(with_sticker & set(c.members)))
    assert len(with_sticker & set(best.members)) >= 0.75 * len(with_sticker)
    assert len(with_sticker & set(best.typical)) == TYPICAL
    # By the place alone it is scattered.
    places = group([replace(fact, region=None) for fact in facts], Grouping()).clusters["sticker"]
    assert max(len(with_sticker & set(c.members)) for c in places) < 0.5 * len(with_sticker)
