"""Headless Chromium on the page of a server process: with the worker double, and with nano."""

import shutil

import numpy as np
import pytest
import soundfile

from engine.families.nano import family
from tests.server.page.studio import Desk, Studio, double, nano

RATE_HZ = 44_100
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
PATIENCE_MS = 15_000


@pytest.fixture(scope="module")
def chromium():
    """A browser with a fresh profile.

    Playwright keeps an event loop running, so none may outlive its module.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("Chromium is not installed; Debian has it as chromium")
    with playwright.sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def studio(tmp_path_factory):
    """A server whose worker copies."""
    studio = Studio(tmp_path_factory.mktemp("studio"), double)
    studio.start()
    yield studio
    studio.stop()


@pytest.fixture(scope="session")
def real_studio(tmp_path_factory):
    """A server with the built-in model."""
    if family.missing():
        pytest.skip(family.missing())
    studio = Studio(tmp_path_factory.mktemp("real studio"), nano)
    studio.start()
    yield studio
    studio.stop()


@pytest.fixture
def open_desk(chromium):
    """open_desk(origin) opens a window of a fresh browser; all are checked at the end."""
    windows = []

    def make(origin, **options):
        context = chromium.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        desk = Desk(context.new_page(), origin)
        windows.append((context, desk))
        return desk

    yield make
    for context, desk in windows:
        context.close()
        desk.check(may_lose_connection=getattr(desk, "lost_connection", False))


@pytest.fixture
def desk(open_desk, studio):
    """A window on the page of the double's server."""
    return open_desk(studio.origin).open()


@pytest.fixture(scope="module")
def bench(chromium, studio):
    """One window for all tests that only call the page's modules."""
    context = chromium.new_context()
    desk = Desk(context.new_page(), studio.origin).open()
    yield desk
    context.close()
    desk.check()


@pytest.fixture(scope="session")
def region(tmp_path_factory):
    """Two seconds of a decaying tone with a click at 1 s: stereo, 16 bits."""
    seconds = np.arange(2 * RATE_HZ) / RATE_HZ
    tone = 0.4 * np.exp(-seconds) * np.sin(2 * np.pi * 330 * seconds)
    tone[RATE_HZ : RATE_HZ + 20] = 0.9
    path = tmp_path_factory.mktemp("music") / "loop.wav"
    soundfile.write(path, np.stack([tone, 0.5 * tone], axis=1), RATE_HZ, subtype="PCM_16")
    return path
