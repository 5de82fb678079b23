"""Every page can be reached, and every link in it leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "clients/**/*.md", "engine/**/README.md")
    for path in ROOT.glob(pattern)
)


def links(page):
    """(file, part) of each link to a file of the repository."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", link):
            file, _, part = link.partition("#")
            yield (page.parent / file).resolve() if file else page.resolve(), part


def anchors(page):
    """The parts of a page as Markdown renderers name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    missing = [
        f"{file}#{part}"
        for file, part in links(page)
        if not file.exists() or (part and part not in anchors(file))
    ]
    assert missing == []


def test_the_index_leads_to_every_page():
    reached = {file for file, _ in links(ROOT / "docs" / "index.md")}
    assert {page for page in ROOT.glob("docs/**/*.md") if page.name != "index.md"} <= reached
