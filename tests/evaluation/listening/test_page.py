"""A person with a browser: from results to figures, through the server and from a folder."""

import csv
import shutil

import pytest
from aiohttp.test_utils import TestServer

from evaluation.exams import listen
from evaluation.listening.collect import application
from evaluation.listening.score import score
from tests.evaluation.listening.results import write_results

playwright = pytest.importorskip("playwright.async_api")
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium; Debian: apt install chromium")


@pytest.fixture
def built(tmp_path):
    arguments = [
        str(write_results(tmp_path, seconds=0.7)),
        "--out",
        str(tmp_path / "test"),
        "--pieces",
        "1",
        "--seed",
        "2",
    ]
    assert listen.main(arguments) == 0
    return tmp_path / "test"


@pytest.fixture
async def tab():
    async with playwright.async_playwright() as tools:
        flags = ["--autoplay-policy=no-user-gesture-required", "--no-sandbox"]
        browser = await tools.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = await browser.new_page()
        page.set_default_timeout(20_000)
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        yield page
        await browser.close()


async def take_the_test(tab, url):
    """Hears everything, answers A or 4."""
    await tab.goto(url)
    await tab.fill("#listener", "ann")
    await tab.click("text=Begin")
    while await tab.query_selector("progress"):
        assert await tab.is_disabled("button")
        for box in await tab.query_selector_all("fieldset"):
            await (await box.query_selector("input[value=a], input[value='4']")).check()
        assert await tab.is_disabled("button"), "not before every sound was heard"
        for place in range(len(await tab.query_selector_all("audio"))):
            await tab.evaluate("place => document.querySelectorAll('audio')[place].play()", place)
            await tab.wait_for_function(
                "n => document.querySelectorAll('.heard').length === n", arg=place + 1
            )
            await tab.evaluate(
                "for (const audio of document.querySelectorAll('audio')) audio.currentTime = 0"
            )
        await tab.click("button:enabled")
    await tab.wait_for_function(
        "!document.getElementById('note').textContent.startsWith('Handing')"
    )
    assert tab.complaints == []


async def test_a_listener_hears_answers_and_hands_in(tab, built):
    async with TestServer(application(built)) as server:
        await take_the_test(tab, str(server.make_url("/")))
        assert "handed in" in await tab.inner_text("#note")
        assert (await tab.request.get(str(server.make_url("/key.json")))).status == 404
    found = score(built)
    assert found["listeners"] == 1 and len(found["ab"]) == 3
    assert all(row["mean"] == 4 for row in found["mos"])


async def test_from_a_folder_the_answers_are_downloaded(tab, built, tmp_path):
    await take_the_test(tab, (built / "test" / "index.html").as_uri())
    async with tab.expect_download() as download:
        await tab.click("a[download]")
    await (await download.value).save_as(tmp_path / "ann.csv")
    rows = list(csv.DictReader((tmp_path / "ann.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 9  # one duel and two opinions, three questions each
    assert score(built, [tmp_path / "ann.csv"])["listeners"] == 1


async def test_other_sites_can_neither_read_nor_write(built):
    import aiohttp

    async with TestServer(application(built)) as server, aiohttp.ClientSession() as client:
        url = server.make_url("/results")
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            async with client.post(url, json={}, headers=headers) as reply:
                assert reply.status == 403
        async with client.post(url, data="{}", headers={"Content-Type": "text/plain"}) as reply:
            assert reply.status == 415
        async with client.post(url, json={}) as reply:
            assert reply.status == 400 and "expected" in (await reply.json())["error"]
