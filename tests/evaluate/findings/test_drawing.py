"""What was found is outlined where it is, and what is used is on a sheet."""

from dataclasses import replace

import numpy as np
import pytest

from camcli.evaluate.findings.drawing import MOST, OUTLINE, findings_sheet, outlined
from camcli.evaluate.findings.finding import Sighting

RGB = np.full((200, 400, 3), 128, np.uint8)


def where(rgb, colour=OUTLINE):
    found = np.argwhere((rgb == np.array(colour, np.uint8)).all(2))
    return *found.min(0), *found.max(0)


def test_an_outline_is_around_the_region():
    out = outlined(RGB, (0.25, 0.5, 0.75, 0.9))
    assert where(out) == pytest.approx((100, 100, 180, 300), abs=2)
    assert (out[108:172, 108:292] == 128).all(), "what is inside can be seen"
    assert (RGB == 128).all()
    assert (outlined(RGB, None) == RGB).all()


@pytest.mark.parametrize("region", [(0, 0, 1, 1), (-1, 0.9, 2, 1.5), (1, 1, 1, 1)])
@pytest.mark.parametrize("size", [(1, 1), (3, 500), (40, 30)])
def test_any_region_of_any_photograph(size, region):
    rgb = np.zeros((*size, 3), np.uint8)
    assert outlined(rgb, region).shape == rgb.shape


def test_a_sheet_shows_what_is_used_and_no_more(findings):
    asked = []

    def pixels(rel):
        asked.append(rel)
        return None if rel == "a/1.jpg" else RGB

    sheet = findings_sheet(findings, pixels)
    assert asked == [f"a/{n}.jpg" for n in range(7)], "one that is gone is replaced by the next"
    assert sheet.shape[1] > 9 * 150, "a mark, six photographs, before and after"
    assert findings_sheet(findings[:1], pixels) is None
    alone = replace(findings[1], picture=None, sightings=(Sighting("a/1.jpg"),), retried=())
    assert findings_sheet([alone], pixels) is None, "there is nothing to show"
    narrow = findings_sheet([replace(findings[1], retried=())], pixels)
    assert narrow.shape[1] < sheet.shape[1]
    many = findings_sheet([findings[1]] * 20, lambda rel: RGB)
    assert many.shape[0] == findings_sheet([findings[1]] * MOST, lambda rel: RGB).shape[0]
