"""The page of findings in a real browser, at the width of a phone and of a desk."""

import numpy as np
import pytest

from camcli.evaluate.findings.finding import Effect, Finding, HeatShare, Measured, Sighting
from camcli.evaluate.findings.page import Strip, findings_page

pytestmark = pytest.mark.slow  # a browser

EVIL = "</script><img src=x onerror=alert(1)>"
RGB = np.full((300, 400, 3), 128, np.uint8)
SHARE = Measured(0.86, 0.74, 0.93)
EFFECT = Effect("inpainted", "a patch beside it " * 4, 50, SHARE, SHARE, SHARE, SHARE, SHARE)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    sightings = (
        Sighting("a/1.jpg", (0.5, 0.5, 0.75, 1.0), "alpha 0.98"),
        Sighting("gone/" + "long-name-" * 20 + ".jpg"),
        Sighting("a/" + EVIL, None, EVIL),
    )
    findings = [
        Finding("mark", "alpha", "used", "alpha rests on this mark", "In 51 of 60.", "Crop it.",
                sightings, 51, 60, 2, 60, remove=EFFECT, add=EFFECT,
                heat=HeatShare(0.4, 0.03, 50), picture=RGB[:22, :120]),
        Finding("frame", EVIL * 3, "not used", EVIL, "It is there.", "",
                (*sightings[:1], Sighting("a/1.jpg"))),
    ]  # fmt: skip
    html = findings_page(
        findings, title="Audit of " + "x" * 99,
        pixels=lambda rel: RGB if rel == "a/1.jpg" else None, skipped=["Frames."],
        strips_title="Alike",
        strips=[Strip("alpha: cluster 0", "9 photographs", (("mean map", RGB),) * 7)],
    )  # fmt: skip
    out = tmp_path_factory.mktemp("findings") / "audit.html"
    out.write_text(html, "utf-8")
    return out


@pytest.fixture(params=[320, 1280])
def opened(request, page, written):
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": request.param, "height": 800, "deviceScaleFactor": 1, "mobile": False},
    )
    page.driver.get("about:blank")
    page.driver.get(written.as_uri())
    page.wait("return document.readyState === 'complete'")
    yield page
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_is_wider_than_the_screen_and_outlines_fit(opened):
    assert opened.js("return document.documentElement.scrollWidth <= innerWidth")
    image, outline = opened.js(
        "const shot = document.querySelector('.shot:has(rect)');"
        "const box = (e) => { const r = e.getBoundingClientRect();"
        "  return [r.left, r.top, r.width, r.height]; };"
        "return [box(shot.querySelector('img')), box(shot.querySelector('.line'))];"
    )
    x, y, width, height = image
    expected = [x + width / 2, y + height / 2, width / 4, height / 2]
    # The line itself is 2 pixels wide.
    assert outline == pytest.approx(expected, abs=3)
    assert width / height == pytest.approx(4 / 3, abs=0.02)


def test_filters_outlines_theme_and_paths(opened):
    def shown():
        return opened.js(
            "return [...document.querySelectorAll('.finding:not([hidden]) h3')]"
            ".map((e) => e.innerText)"
        )

    assert shown() == ["alpha rests on this mark", EVIL]
    tile = opened.one('[data-key="not used"]')
    tile.click()
    assert shown() == [EVIL]
    assert tile.get_attribute("aria-pressed") == "true"
    assert opened.one("#found").text == "1 of 2 findings"
    tile.click()
    assert len(shown()) == 2
    assert not opened.one('[data-key="unproved"]').is_enabled()
    opened.js("const s = document.getElementById('label'); s.value = '2';"
              "s.dispatchEvent(new Event('change'));")  # fmt: skip
    assert shown() == ["alpha rests on this mark"]
    opened.one("#outlines").click()
    assert opened.js("return getComputedStyle(document.querySelector('.shot svg')).display") == (
        "none"
    )
    before = opened.js("return getComputedStyle(document.body).backgroundColor")
    opened.one("#theme").click()
    assert opened.js("return getComputedStyle(document.body).backgroundColor") != before
    opened.one(".finding.used summary").click()
    opened.one(".finding.used .copy").click()
    opened.wait("return /Copied|Selected/.test(document.querySelector('.copy').textContent)")
    opened.js("try { localStorage.clear(); } catch { /* none */ }")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(opened, theme):
    opened.js(
        "document.documentElement.dataset.theme = arguments[0];"
        "for (const d of document.querySelectorAll('details')) d.open = true", theme,
    )  # fmt: skip
    assert "\n".join(opened.axe()) == ""
