"""Takes the pictures of docs/report.md: makes a run about which everything is known, and looks.

    python docs/screenshots.py FOLDER              # the pictures of the page, into FOLDER
    python docs/screenshots.py FOLDER --all        # every tab at three widths, light and dark
    python docs/screenshots.py FOLDER --site SITE  # keep, or take again, what they show, in SITE

Needs selenium and chromium with its driver, as the tests of the page do.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CLASSES = ("apple", "orange", "pear")
# The way of docs/report.md: a sticker on most apples, two photographs in each other's folder, and
# a copy.
BEFORE = (
    "train --data photos --backbone efficientnet_lite0 --fit squash --epochs 60 --lr 1e-3 "
    "--out first",
    "batch photos --checkpoint first/best.safetensors --out run",
    "audit run --out audit",
    "check photos --checkpoint first/best.safetensors --out check",
    "evaluate photos --models first/best.safetensors --masks masks --methods cam,layercam "
    "--limit 40 --out evaluation",
    "report run --masks masks",
    "batch elsewhere --checkpoint first/best.safetensors --out before",
    "report before",
)
AFTER = (
    "apply marks.csv --data photos --to clean",
    "train --data clean --backbone efficientnet_lite0 --fit squash --epochs 60 --lr 1e-3 "
    "--out second",
    "batch elsewhere --checkpoint second/best.safetensors --out after",
    "report before after --out compared",
)
# Name of the picture, page, what stands behind its #, and what is clicked then.
PICTURES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("gallery", "run", "", ()),
    ("audit", "run", "tab=audit", ()),
    ("check", "run", "tab=check", ()),
    ("map", "run", "tab=map&in=250,450,600,950", ()),
    ("classes", "run", "tab=classes", ()),
    ("mistakes", "elsewhere", "tab=mistakes", ()),
    ("pair", "elsewhere", "tab=mistakes", ("#matrix td.w a",)),
    ("evaluation", "run", "tab=evaluation", ()),
    ("training", "run", "tab=training", ()),
    ("about", "run", "tab=about", ()),
    ("view", "elsewhere", "is=wrong", ("#gallery .card",)),
    (
        "marks",
        "run",
        "tab=audit",
        ("article.used a.all", "#tick-all", "#marks-ticked [data-do=drop]", "#marks-csv"),
    ),
    ("compared", "compared", "", ()),
)
WIDTHS = ((1440, 900), (1024, 768), (390, 844))
ON_THE_PAGE = (1200, 800)
# What a person marks on the page of the run.
MARKS = (
    "path,mark,label,note",
    *(f"apple/{number:02}.jpg,drop,,has the sticker" for number in range(9, 35)),
    "pear/90.jpg,relabel,orange,",
    "orange/91.jpg,relabel,pear,",
    "pear/92.jpg,drop,,a copy",
)


def draw(site: Path) -> None:
    """Write the photographs and their masks."""
    import numpy as np
    from PIL import Image

    from camcli.data.synthetic.scenes import Shortcut, draw_scenes

    def write(folder: str, scenes: Iterator[Any], first: int = 1) -> None:
        for number, scene in enumerate(scenes, first):
            for path, pixels in (
                (site / folder / scene.label / f"{number:02}.jpg", scene.rgb),
                (site / "masks" / scene.label / f"{number:02}.png", scene.mask),
            ):
                if folder == "photos" or path.suffix == ".jpg":
                    path.parent.mkdir(parents=True, exist_ok=True)
                    pixels = pixels.astype(np.uint8) * (1 if pixels.ndim == 3 else 255)
                    Image.fromarray(pixels).save(path)

    sticker = Shortcut("apple")
    write("photos", draw_scenes(8, classes=CLASSES[:1], seed=3))
    write("photos", draw_scenes(26, classes=CLASSES[:1], seed=4, shortcut=sticker), 9)
    swapped = Shortcut("apple", test="swapped")
    for label in CLASSES:
        if label != "apple":
            write("photos", draw_scenes(24, classes=(label,), seed=3))
        shop = draw_scenes(12, classes=(label,), seed=3, split="test", shortcut=swapped)
        write("elsewhere", shop)
    photos = site / "photos"
    (photos / "orange/05.jpg").rename(photos / "pear/90.jpg")
    (photos / "pear/06.jpg").rename(photos / "orange/91.jpg")
    shutil.copy(photos / "pear/09.jpg", photos / "pear/92.jpg")


def call(*lines: str) -> None:
    """Run commands, one after the other, in this process.

    Raises:
        SystemExit: one of them failed.
    """
    from typer.testing import CliRunner

    from camcli.cli.app import app

    for line in lines:
        print(f"camcli {line}", flush=True)
        result = CliRunner().invoke(app, line.split())
        if result.exit_code:
            raise SystemExit(f"{result.output}\n{result.exception!r}")


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A headless chromium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CAMCLI_CHROMIUM") or shutil.which("chromium") or ""
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--hide-scrollbars", "--force-prefers-reduced-motion"):  # fmt: skip
        options.add_argument(word)
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver") or "")
    )
    driver.set_page_load_timeout(30)
    driver.set_script_timeout(30)
    try:
        yield driver
    finally:
        driver.quit()


READY = """
return camcli.loaded === camcli.settings.rows && !/Loading…/.test(document.body.innerText)
  && [...document.images].every((image) => image.complete)
"""


def shoot(
    driver: Any, page: Path, fragment: str, size: tuple[int, int], theme: str,
    clicks: Iterable[str], out: Path,
) -> None:  # fmt: skip
    """Take one picture of the page.

    Args:
        driver: the browser.
        page: the page's file.
        fragment: behind its #.
        size: of the screen, in pixels.
        theme: ``light`` or ``dark``.
        clicks: selectors of what is clicked, one after the other.
        out: a JPEG.
    """

    def wait() -> None:
        end = time.monotonic() + 20
        while not driver.execute_script(READY) and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(0.4)

    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 500},
    )
    driver.get(page.absolute().as_uri())
    driver.execute_script("localStorage.clear()")
    driver.get("about:blank")
    driver.get(page.absolute().as_uri() + (f"#{fragment}" if fragment else ""))
    driver.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
    wait()
    for selector in clicks:
        driver.execute_script("document.querySelector(arguments[0]).click()", selector)
        wait()
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "jpeg", "quality": 80})
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    """Make the run where it is not there yet, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--site", type=Path)
    options = parser.parse_args()
    folder = options.folder.absolute()
    with tempfile.TemporaryDirectory() as temporary:
        site = (options.site or Path(temporary)).absolute()
        site.mkdir(parents=True, exist_ok=True)
        if not (site / "photos").exists():
            draw(site)
        os.chdir(site)
        if not (site / "compared").exists():
            call(*BEFORE)
            (site / "marks.csv").write_text("".join(f"{line}\n" for line in MARKS), "utf-8")
            call(*AFTER)
        pages = {
            "run": site / "run/report/index.html",
            "elsewhere": site / "before/report/index.html",
            "compared": site / "compared/index.html",
        }
        sizes = WIDTHS if options.all else (ON_THE_PAGE,)
        with browser() as driver:
            for name, page, fragment, clicks in PICTURES:
                for size in sizes:
                    for theme in ("light", "dark") if options.all else ("light",):
                        more = f"-{size[0]}-{theme}" if options.all else ""
                        out = folder / f"{name}{more}.jpg"
                        shoot(driver, pages[page], fragment, size, theme, clicks, out)


if __name__ == "__main__":
    main()
