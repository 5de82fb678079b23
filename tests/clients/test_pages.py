"""Every client has a page, with a picture and the first two minutes."""

import re

import pytest

from server.paths import REPOSITORY

PAGES = REPOSITORY / "docs" / "clients"
CLIENTS = sorted(path.name for path in (REPOSITORY / "clients").iterdir() if path.is_dir())


@pytest.mark.parametrize("name", CLIENTS)
def test_a_clients_page_has_a_picture_and_the_first_two_minutes(name):
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[.+\]\((.+?)\)", page)
    assert pictures and all((PAGES / picture).is_file() for picture in pictures)
    assert "\n## The first two minutes" in page
