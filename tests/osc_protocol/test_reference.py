from pathlib import Path

import pytest

from osc_protocol import ADDRESSES, EDIT_KEYS, ERROR_CODES, REPLIES
from osc_protocol.reference import page

DOCUMENT = Path(__file__).parents[2] / "docs" / "osc.md"


def test_the_page_in_docs_is_up_to_date():
    assert DOCUMENT.read_text(encoding="utf-8") == page(), (
        "run python -m osc_protocol.reference > docs/osc.md"
    )


def test_the_page_names_everything_in_the_table():
    for name in (*ADDRESSES, *REPLIES, *EDIT_KEYS, *ERROR_CODES):
        assert f"`{name}`" in page()


@pytest.mark.parametrize("line", [line for line in page().splitlines() if line.startswith("|")][:3])
def test_a_table_has_as_many_cells_in_each_line(line):
    assert line.count("|") == 6
