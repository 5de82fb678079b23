"""A page without marks is left alone."""

import pytest

from evaluation.reporting.page import replace_block

RATE_HZ = 32_000


def test_a_page_without_marks_is_named(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="page.md: expected the lines <!-- codec -->"):
        replace_block(page, "codec", "text")
