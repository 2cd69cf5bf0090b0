"""A browser that hangs fails the test which waits for it, and no other."""

import os
import signal
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # two browsers


@pytest.fixture
def hasty(keeper):
    """A browser of its own that is given up soon."""
    own = type(keeper)(slow=1, hung=3)
    yield own
    own.quit()


def test_a_script_that_never_ends_is_given_up(hasty, tmp_path):
    driver = hasty.driver()
    begun = time.monotonic()
    with pytest.raises(Exception, match=r"."):
        driver.execute_script("for (;;);")
    hasty.look_after()
    page = tmp_path / "page.html"
    page.write_text("<title>the next</title>")
    hasty.driver().get(page.as_uri())
    assert hasty.driver().title == "the next"
    assert time.monotonic() - begun < 30


@pytest.mark.posix
def test_a_driver_that_answers_nothing_is_killed_and_another_started(hasty):
    driver = hasty.driver()
    browser = driver.capabilities["goog:processID"]
    os.kill(driver.service.process.pid, signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(Exception, match=r"."):
        driver.title  # noqa: B018
    assert not hasty.look_after()
    assert driver.service.process.wait(5) is not None
    while Path(f"/proc/{browser}").exists():  # its child, which would go on alone
        assert time.monotonic() - begun < 15
        time.sleep(0.1)
    assert time.monotonic() - begun < 15
    assert hasty.driver() is not driver
    assert hasty.driver().execute_script("return 1") == 1


def test_a_browser_that_never_starts_is_not_waited_for_again_and_again(hasty, monkeypatch):
    monkeypatch.setattr(hasty, "_start", lambda: 1 / 0)
    for _ in range(hasty.STARTS):
        with pytest.raises(ZeroDivisionError):
            hasty.driver()
    with pytest.raises(AssertionError, match="failed 3 times"):
        hasty.driver()
