import hashlib
import json
import re

import pytest

from server.paths import PAGE, REPOSITORY

OWN_FILES = [path for path in PAGE.rglob("*") if path.is_file() and "vendored" not in path.parts]


def test_vendored_files_are_those_of_the_manifest():
    manifest = json.loads((PAGE / "vendored/manifest.json").read_text())
    listed = {
        name: sha256 for library in manifest.values() for name, sha256 in library["files"].items()
    }
    found = {
        path.relative_to(PAGE / "vendored").as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in (PAGE / "vendored").rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert found == listed


@pytest.mark.parametrize("path", OWN_FILES, ids=lambda path: path.name)
def test_own_files_name_no_other_site(path):
    text = (
        path.read_text().replace("http://www.w3.org/2000/svg", "").replace("http://localhost", "")
    )
    assert not re.search(r"(https?:)?//\w+\.\w", text)


def test_the_documented_shortcuts_are_those_of_the_page(desk):
    rows = re.findall(
        r"^\| (`.+?`) \| (.+) \|$", (REPOSITORY / "docs/page.md").read_text(), re.MULTILINE
    )
    documented = [(keys.replace("`", ""), what) for keys, what in rows]
    shown = desk.look("""Array.from(document.querySelectorAll("#shortcuts li"), (row) => [
        Array.from(row.querySelectorAll("kbd"), (key) => key.textContent).join(" "),
        row.lastChild.textContent])""")
    assert documented == [tuple(row) for row in shown]


@pytest.fixture
def check_with_axe():
    """Whether a page is usable with a screen reader, as far as a program can tell."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
    )

    def check(page):
        results = axe.Axe().run(page)
        assert results.violations_count == 0, results.generate_report()

    return check


def test_axe_finds_nothing_wrong_with_the_empty_page(open_desk, studio, check_with_axe):
    check_with_axe(open_desk(studio.origin, bypass_csp=True).open().page)


@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_axe_finds_nothing_wrong_with_the_page_at_work(
    open_desk, studio, region, check_with_axe, scheme
):
    desk = open_desk(studio.origin, color_scheme=scheme, bypass_csp=True).open()
    desk.load(region)
    desk.page.click("[data-name=harp][data-column='0']")
    desk.page.click("[data-name=banjo][data-column='1']")
    desk.page.click("#ask button")
    desk.wait_for_takes(1)
    desk.ask("fail bad_audio")
    desk.page.wait_for_selector("[role=alert]")
    check_with_axe(desk.page)


def test_the_theme_button_overrules_the_system(open_desk, studio):
    desk = open_desk(studio.origin, color_scheme="dark").open()
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = desk.look(ground)
    desk.page.click("#theme")
    light = desk.look(ground)
    desk.page.reload()
    assert desk.look(ground) == light != dark


@pytest.mark.parametrize("width", (360, 900))
def test_narrow_windows_need_no_sideways_scrolling(open_desk, studio, region, width):
    desk = open_desk(studio.origin, viewport={"width": width, "height": 800}).open()
    desk.load(region)
    desk.ask("copy with quite some words about what this should sound like in the end")
    desk.wait_for_takes(1)
    assert desk.look("document.documentElement.scrollWidth") == width


def test_reduced_motion_is_respected(open_desk, studio):
    desk = open_desk(studio.origin, reduced_motion="reduce").open()
    assert (
        desk.look("getComputedStyle(document.querySelector('#choose')).transitionDuration") == "0s"
    )
