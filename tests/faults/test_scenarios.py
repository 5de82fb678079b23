"""Each fault of the table: what must hold holds, the code is the one in the table, and the text says what to do."""

import sys

import pytest

from osc_protocol import ERROR_CODES
from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import Stage

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and file systems of Linux")


@pytest.mark.parametrize("row", SCENARIOS, ids=lambda row: row.name)
async def test_a_fault_is_survived_and_told_with_its_cure(row, tmp_path):
    async with Stage.open(tmp_path) as stage:
        code, text = await row.play(stage)
    assert code == row.code, text
    assert row.cure in text


def test_every_code_of_the_table_is_in_the_protocol():
    assert {row.code for row in SCENARIOS} - {""} <= set(ERROR_CODES)
