"""The page of 100,000 images: how long it takes to make and to open, and how large its data are.

    python benchmarks/report_100k.py [--rows 100000] [--keep FOLDER]

Makes a run directory with drawn maps and a few photographs that all rows share (hard links), so
that thumbnails are decoded for real. With Selenium and Chromium it also opens the page.
"""

from __future__ import annotations

import argparse
import base64
import csv
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from camcli.batch.tables.heatmaps import FEATURES
from camcli.batch.tables.rows import columns
from camcli.jobs.report import read_run
from camcli.render.picture import encode_jpeg
from camcli.render.places.layout import Working
from camcli.render.report import write_report

CLASSES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="make the run there and keep it")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="camcli-report-"))
    try:
        run = folder / "run"
        if not run.exists():
            draw_run(folder, options.rows)
        before = peak_mb()
        start, cpu = time.perf_counter(), time.process_time()
        laying: list[float] = []
        page = write_report(read_run(run), run / "report", working=timed(laying))
        print(f"places by t-SNE         {sum(laying):6.1f} s")
        print(f"built in                {time.perf_counter() - start:6.1f} s")
        print(f"  on the processors     {time.process_time() - cpu:6.1f} s")
        print(f"memory above the start  {peak_mb() - before:6.0f} MB")
        data = [p.stat().st_size for p in (page.parent / "data").iterdir()]
        print(f"page data               {sum(data) / 1e6:6.1f} MB in {len(data)} files")
        print(f"index.html              {page.stat().st_size / 1e3:6.1f} kB")
        open_in_browser(page, options.rows)
    finally:
        if not options.keep:
            shutil.rmtree(folder)


def timed(seconds: list[float]) -> Working:
    """Keeps how long the slow parts took."""

    @contextmanager
    def working(title: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds.append(time.perf_counter() - start)

    return working


def draw_run(folder: Path, rows: int) -> None:
    """A run directory with `rows` rows."""
    draw = np.random.default_rng(0)
    names = [f"class number {n}" for n in range(CLASSES)]
    seeds = []
    for n in range(20):
        cells = draw.integers(0, 255, (12, 16, 3), np.uint8)
        picture = np.kron(cells, np.ones((32, 32, 1), np.uint8))[:375, :500]
        picture = np.clip(picture + draw.integers(-20, 20, picture.shape), 0, 255).astype(np.uint8)
        seeds.append(folder / f"seed-{n}.jpg")
        seeds[-1].parent.mkdir(parents=True, exist_ok=True)
        seeds[-1].write_bytes(encode_jpeg(picture))
    run, photos = folder / "run", folder / "photos"
    run.mkdir()
    centres = draw.standard_normal((CLASSES, FEATURES))
    with (
        (run / "predictions.csv").open("w", encoding="utf-8", newline="") as table,
        (run / "heatmaps.jsonl").open("w", encoding="ascii") as heatmaps,
    ):
        writer = csv.DictWriter(table, columns(5))
        writer.writeheader()
        for n in range(rows):
            true = int(draw.integers(CLASSES))
            right = draw.random() < 0.8
            pred = true if right else int(draw.integers(CLASSES))
            prob = round(float(draw.beta(5, 1.5) if right else draw.beta(2, 2)), 5)
            path = f"{names[true]}/a photograph with a name of usual length {n:06}.jpg"
            photo = photos / path
            photo.parent.mkdir(parents=True, exist_ok=True)
            os.link(seeds[n % len(seeds)], photo)
            values = {
                "path": path, "label": names[true], "pred": names[pred], "prob": prob,
                "correct": int(pred == true), "target": names[pred], "method": "gradcam",
                "layer": "bn2", "heat_x": 0.5, "heat_y": 0.5, "box_x0": 120, "box_y0": 40,
                "box_x1": 390, "box_y1": 300, "heat_area": 0.2123, "heat_border": 0.1234,
                "overlay": f"overlays/{path}", "width": 500, "height": 375, "status": "ok",
            }  # fmt: skip
            for k in range(2, 6):
                values[f"top{k}"] = names[(pred + k) % CLASSES]
                values[f"top{k}_prob"] = round((1 - prob) / 2**k, 6)
            writer.writerow(values)
            one = {"target": names[pred], "prob": prob, "max": 1.5, "empty": False,
                   "shape": [7, 7], "values": _map(draw)}  # fmt: skip
            truth = None if right else one | {"target": names[true], "values": _map(draw)}
            features = centres[true] + 0.7 * draw.standard_normal(FEATURES)
            features /= np.linalg.norm(features)
            record = {"path": path, "view": [86.0, 23.438, 414.0, 351.562], "maps": [one],
                      "truth": truth, "difference": one | {"values": _map(draw, 2)},
                      "against": names[true] if not right else names[(pred + 2) % CLASSES],
                      "features": _halves(features)}  # fmt: skip
            heatmaps.write(json.dumps(record) + "\n")
    (run / "run.json").write_text(
        json.dumps({"state": "finished", "config": {"source": str(photos), "method": "gradcam"}})
    )


def _map(draw: np.random.Generator, signs: int = 1) -> str:
    return _halves(draw.random((7, 7)) * signs - (signs - 1))


def _halves(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.astype("<f2").tobytes()).decode()


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def open_in_browser(page: Path, rows: int) -> None:
    """Time what a reader waits for."""
    try:
        from selenium import webdriver
    except ImportError:
        print("(selenium is not installed: not opened)")
        return
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        print("(no chromium with chromedriver: not opened)")
        return
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--window-size=1300,900"):  # fmt: skip
        options.add_argument(word)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        chrome.set_script_timeout(120)
        start = time.perf_counter()
        chrome.get(page.absolute().as_uri())
        paint = chrome.execute_async_script(
            "const done = arguments[0]; const look = () => { const p = performance"
            ".getEntriesByName('first-contentful-paint')[0]; p ? done(p.startTime)"
            " : setTimeout(look, 20); }; look();"
        )
        print(f"first paint             {paint / 1000:6.2f} s")
        shown = "return document.querySelectorAll('#gallery canvas').length > 5"
        while not chrome.execute_script(shown):
            time.sleep(0.02)
        print(f"pictures with heat      {time.perf_counter() - start:6.2f} s")
        while chrome.execute_script("return camcli.loaded") < rows:
            time.sleep(0.05)
        print(f"all rows searchable     {time.perf_counter() - start:6.2f} s")
        timed = (
            "const [changes, done] = arguments; const t = performance.now();"
            "camcli.writeHash(changes); requestAnimationFrame(() => requestAnimationFrame(() =>"
            "done([performance.now() - t, camcli.selection().length])));"
        )
        for words, changes in (
            ("filter wrong", {"is": "wrong"}),
            ("search text", {"is": None, "q": "number 77"}),
            ("filter confidence", {"q": None, "min": "40", "max": "60"}),
            ("order by confidence", {"min": None, "max": None, "sort": "unsure"}),
        ):
            ms, found = chrome.execute_async_script(timed, changes)
            print(f"{words:24}{ms / 1000:6.2f} s, {found} found")
        look_at_map(chrome, timed)
        frames = chrome.execute_async_script(
            "const done = arguments[0]; const times = []; let last = performance.now();"
            "const step = (now) => { times.push(now - last); last = now; scrollBy(0, 120);"
            "if (times.length < 200) requestAnimationFrame(step);"
            "else done(times.sort((a, b) => a - b)); }; requestAnimationFrame(step);"
        )
        for words, share in (("median", 0.5), ("95th percentile", 0.95), ("slowest", 1)):
            ms = frames[min(len(frames) - 1, int(share * len(frames)))]
            print(f"frame while scrolling   {ms:6.0f} ms, {words}")
        height = "scrollTo(0, document.body.scrollHeight)"
        start = time.perf_counter()
        chrome.execute_script(height)
        last = (
            "return [...document.querySelectorAll('#gallery .card')]"
            f".some((c) => c.dataset.place === '{rows - 1}')"
        )
        while not chrome.execute_script(last):
            time.sleep(0.02)
        print(f"jump to the end         {time.perf_counter() - start:6.2f} s")
        count = chrome.execute_script("return document.querySelectorAll('#gallery li').length")
        print(f"cards in the document   {count:6}")
    finally:
        chrome.quit()


def look_at_map(chrome: Any, timed: str) -> None:
    """Time what a reader of the map waits for."""
    start = time.perf_counter()
    chrome.execute_script("camcli.writeHash({sort: null, tab: 'map'})")
    while not chrome.execute_script("return document.querySelector('.map-side .entry')"):
        time.sleep(0.01)
    print(f"map opened              {time.perf_counter() - start:6.2f} s")
    # Each step is drawn in full; what is measured is the script and its picture.
    drawn = """const [code, done] = arguments; const points = document.querySelector('.points');
        const box = points.getBoundingClientRect(); const times = []; let n = 0;
        const send = (type, x, y, more) => points.dispatchEvent(new (type === 'wheel' ? WheelEvent
            : PointerEvent)(type, {clientX: box.left + x, clientY: box.top + y, bubbles: true,
            cancelable: true, ...more}));
        const step = () => {
            const start = performance.now();
            if (code === 'zoom') {
                send('wheel', 300, 300, {deltaY: n % 20 < 10 ? -40 : 40, ctrlKey: true});
            } else send('pointermove', (n * 37) % box.width, (n * 23) % box.height);
            requestAnimationFrame(() => {
                const channel = new MessageChannel();
                channel.port1.onmessage = () => {
                    times.push(performance.now() - start);
                    if (++n < 60) step(); else done(times.sort((a, b) => a - b));
                };
                channel.port2.postMessage(0);
            });
        };
        step();"""
    for words, code in (("frame while zooming", "zoom"), ("frame while hovering", "hover")):
        frames = chrome.execute_async_script(drawn, code)
        print(f"{words:24}{frames[30]:6.0f} ms, median; {frames[57]:4.0f} ms, 95th percentile")
    for words, changes in (
        ("box on the map", {"in": "300,300,600,600"}),
        ("colour by confidence", {"in": None, "colour": "confidence"}),
        ("wrong ones on the map", {"is": "wrong"}),
    ):
        ms, found = chrome.execute_async_script(timed, changes)
        print(f"{words:24}{ms / 1000:6.2f} s, {found} found")
    path = chrome.execute_script("return camcli.columns.path[camcli.loaded - 5]")
    start = time.perf_counter()
    chrome.execute_script(
        "camcli.writeHash({tab: null, is: null, colour: null, near: arguments[0]})", path
    )
    while chrome.execute_script("return camcli.columns.path[camcli.selection()[0]]") != path:
        time.sleep(0.01)
    print(f"most alike, first time  {time.perf_counter() - start:6.2f} s")
    ms, found = chrome.execute_async_script(
        timed, {"near": chrome.execute_script("return camcli.columns.path[77]")}
    )
    print(f"most alike, again       {ms / 1000:6.2f} s, {found} found")
    chrome.execute_script("camcli.writeHash({near: null})")


if __name__ == "__main__":
    main()
