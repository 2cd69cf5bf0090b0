"""A real browser: Debian's chromium and its driver, through Selenium; skipped without them."""

from __future__ import annotations

import csv
import functools
import importlib.util
import json
import os
import shutil
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camcli.batch.tables.heatmaps import line
from camcli.batch.tables.rows import columns, row
from camcli.data.sources.refs import ImageRef
from camcli.result import Heat, Result

EVIL_CLASS = "<script>alert(1)</script>"
EVIL_FILE = '"><img src=x onerror=alert(2)>.jpg'
CLASSES = ["cat", "dog", EVIL_CLASS]


# Seconds for a page to load and for a script; and for any call of the driver, a start included.
SLOW, HUNG = 20, 40


class Chromium:
    """A headless browser that no test waits for in vain, started again after it hung.

    A page that never loads and a script that never ends are told by the driver after `slow`
    seconds. Where the driver itself no longer answers, it is killed after `hung` seconds, so that
    the test which waits for it fails, and the next has another browser.
    """

    STARTS = 3  # in vain, after which there is no more waiting

    def __init__(self, slow=SLOW, hung=HUNG):
        self.slow, self.hung = slow, hung
        self._driver = None
        self._failed = 0

    def driver(self):
        """The browser, started if there is none."""
        if self._driver is None:
            assert self._failed < self.STARTS, f"the browser failed {self._failed} times"
            self._failed += 1
            self._driver = self._start()
            self._failed -= 1
        return self._driver

    def look_after(self):
        """Whether it still answers; if not, it is killed, and the next test starts another."""
        with suppress(Exception):
            if self._driver.execute_script("return 1") == 1:
                return True
        self._failed += 1
        self.quit()
        return False

    def quit(self):
        """End it, whether it answers or not."""
        if (driver := self._driver) is None:
            return
        self._driver = None
        driver.limit = min(5, self.hung)
        with suppress(Exception):
            driver.quit()
        self._kill(driver.service.process)

    @staticmethod
    def _kill(process):
        """End a driver, and with it the browser, which would go on without it."""
        with suppress(OSError):  # it is gone
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()

    def _start(self):
        from selenium import webdriver

        kill = self._kill

        class Limited(webdriver.Chrome):
            """Every call of the driver, those of elements too, goes through `execute`."""

            limit = self.hung

            def execute(self, *args, **kwargs):
                # A call that waits for a driver which is gone fails at once.
                killer = threading.Timer(self.limit, kill, [self.service.process])
                killer.daemon = True
                killer.start()
                try:
                    return super().execute(*args, **kwargs)
                finally:
                    killer.cancel()

        options = webdriver.ChromeOptions()
        options.binary_location = _browser()
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--window-size=1300,900", "--force-prefers-reduced-motion"):  # fmt: skip
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # In a process group of its own, which also holds the browser.
        service = webdriver.ChromeService(
            shutil.which("chromedriver"), popen_kw={"start_new_session": True}
        )
        started = Limited(options=options, service=service)
        started.set_page_load_timeout(self.slow)
        started.set_script_timeout(self.slow)
        return started


def _browser():
    return os.environ.get("CAMCLI_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@pytest.fixture(scope="session")
def keeper():
    """Starts the browser that all tests share, once, or again after it hung."""
    pytest.importorskip(
        "selenium.webdriver", reason="selenium is not installed: pip install selenium"
    )
    if not _browser() or not shutil.which("chromedriver"):
        pytest.skip("no chromium with chromedriver: apt-get install chromium chromium-driver")
    keeper = Chromium()
    yield keeper
    keeper.quit()


@pytest.fixture
def chromium(keeper):
    """The browser; what it logs is checked after each test by `page`."""
    yield keeper.driver()
    assert keeper.look_after(), "the browser no longer answers; the next test has another"


class Page:
    """The open page, with a few words for what tests do."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, path, fragment=""):
        self.driver.get("about:blank")
        self.driver.get(Path(path).absolute().as_uri() + fragment)
        self.wait("return document.readyState === 'complete' && camcli.loaded > 0")
        return self

    def js(self, code, *values):
        return self.driver.execute_script(code, *values)

    def wait(self, code, *values, seconds=15):
        end = time.monotonic() + seconds
        while True:
            if value := self.js(code, *values):
                return value
            assert time.monotonic() < end, f"waited in vain for: {code}"
            time.sleep(0.03)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def found(self):
        """What the page says how many images it found."""
        return self.one("#found").text

    def names(self):
        """Captions of the cards, in order."""
        return self.js(
            "return [...document.querySelectorAll('#gallery li')].map(li => li.innerText)"
        )

    def paths(self):
        """Paths of the selection, in order."""
        return self.js("return [...camcli.selection()].map(i => camcli.columns.path[i])")

    def axe(self):
        """What axe-core finds against the page as it is now, with the elements concerned."""
        if not self.js("return 'axe' in window"):
            self.js(_axe())
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run({resultTypes: ['violations'], preload: false}).then(({violations}) =>"
            " done(violations), (error) => done([{id: String(error), nodes: []}]))"
        )
        return [
            f"{one['id']}: {node['target']} {node['html'][:150]}\n{node.get('failureSummary')}"
            for one in found
            for node in one["nodes"] or [{"target": "", "html": ""}]
        ]

    def keys(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)


@functools.cache
def _axe():
    """The accessibility checks of axe-core, which a package for another driver brings along."""
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None:
        pytest.skip("no axe-core: pip install --no-deps axe-playwright-python")
    return Path(package.origin).with_name("axe.min.js").read_text("utf-8")


@pytest.fixture
def page(chromium):
    """The browser; a script error or a refused resource fails the test."""
    chromium.get_log("browser")
    yield Page(chromium)
    errors = [
        entry["message"]
        for entry in chromium.get_log("browser")
        if entry["level"] == "SEVERE" and "ERR_FILE_NOT_FOUND" not in entry["message"]
    ]
    assert not errors


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """A run directory as `camcli batch` leaves it, from a list of what it found."""

    def make(name, items, *, method="gradcam", maps=True, folder=None, differences=False):
        folder = folder or tmp_path_factory.mktemp("report")
        photos, out = folder / "photos", folder / name
        out.mkdir(parents=True)
        draw = np.random.default_rng(7)
        with (
            (out / "predictions.csv").open(
                "w", encoding="utf-8", errors="surrogateescape", newline=""
            ) as table,
            (out / "heatmaps.jsonl").open("w", encoding="ascii") as heatmaps,
        ):
            writer = csv.DictWriter(table, columns(3))
            writer.writeheader()
            for path, label, pred, prob, spot in items:
                photo = photos / path
                if pred is not None and not photo.exists():
                    photo.parent.mkdir(parents=True, exist_ok=True)
                    cells = draw.integers(60, 200, (3, 4, 3), np.uint8)
                    Image.fromarray(cells).resize((160, 120), 0).save(photo, "JPEG")
                result = _result(photo, path, label, pred, prob, spot, method)
                if differences and result.heats:
                    result = _compared(result)
                writer.writerow(row(result, 3))
                if maps and result.heats:
                    heatmaps.write(line(result))
        info = {
            "camcli": "0.1.0",
            "state": "finished",
            "command": ["camcli", "batch", "photos"],
            "config": {
                "source": str(photos),
                "method": method,
                "layer": "last",
                "topk": 1,
                "preprocess": {"size": 224, "fit": "crop"},
                "style": {"colormap": "jet", "alpha": 0.5, "panel": False},
            },
            "provenance": {"name": "tiny", "weights": "random", "sha256": "00", "versions": {}},
        }
        (out / "run.json").write_text(json.dumps(info))
        return out

    return make


def _result(photo, path, label, pred, prob, spot, method):
    ref = ImageRef(photo, path, label)
    if pred is None:
        return Result(ref, status="error", error=f"{path}: the file is empty <b>(0)</b>")
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[spot] = 2.0
    rest = [name for name in CLASSES if name != pred]
    heat = Heat(
        pred, CLASSES.index(pred), prob, heatmap, 0.5, 0.5, (40, 30, 80, 60), 0.1,
        0.9 if spot[0] == 0 else 0.1,
    )  # fmt: skip
    wrong = label is not None and label != pred
    truth = Heat(label, CLASSES.index(label), 0.01, heatmap[::-1].copy()) if wrong else None
    return Result(
        ref, pred=pred, pred_index=CLASSES.index(pred), prob=prob,
        correct=None if label is None else label == pred,
        top=((pred, prob), *((name, (1 - prob) / 2) for name in rest)),
        method=method, layer="last", heats=(heat,), view=(20.0, 0.0, 140.0, 120.0),
        width=160, height=120, truth=truth,
    )  # fmt: skip


def _compared(result):
    """With the difference to the true class, or to the second best: half of it is against."""
    own = result.heats[0].heatmap
    against = result.truth.target if result.truth else result.top[1][0]
    signed = own - own[::-1] / 2
    difference = Heat(result.pred, result.pred_index, result.prob, signed)
    return replace(result, difference=difference, against=against)


@pytest.fixture(scope="session")
def items():
    """Ten images: six right, three wrong, one that cannot be read."""
    return [
        ("cats/1.jpg", "cat", "cat", 0.99, (1, 1)),
        ("cats/2.jpg", "cat", "cat", 0.61, (0, 1)),
        ("cats/3.jpg", "cat", "dog", 0.80, (2, 2)),
        ("cats/käse 100%#1?.jpg", "cat", "cat", 0.72, (1, 2)),
        ("dogs/1.jpg", "dog", "dog", 0.95, (1, 1)),
        ("dogs/2.jpg", "dog", EVIL_CLASS, 0.97, (3, 3)),
        ("dogs/" + EVIL_FILE, "dog", "cat", 0.55, (1, 1)),
        ("dogs/4.jpg", "dog", "dog", 0.40, (1, 1)),
        ("evil/1.jpg", EVIL_CLASS, EVIL_CLASS, 0.88, (2, 1)),
        ("broken.jpg", "cat", None, 0.0, None),
    ]
