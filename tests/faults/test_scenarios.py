"""Each fault of the table is survived, with its code and a text that says what to do."""

import sys

import pytest

from osc_protocol import ERROR_CODES
from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import Stage
from tests.faults.table import table
from tests.server.machine import ROOT

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits and file systems of Linux"
)


@pytest.mark.parametrize("row", SCENARIOS, ids=lambda row: row.name)
async def test_a_fault_is_survived_and_reported_with_its_cure(row, tmp_path):
    async with Stage.open(tmp_path) as stage:
        code, text = await row.play(stage)
    assert code == row.code, text
    assert row.cure in text


async def test_an_end_that_was_not_written_is_sent_by_the_next_start_alone(tmp_path):
    async with Stage.open(tmp_path) as stage:
        data = stage.small_disk(tmp_path / "data")
        (tmp_path / "takes").mkdir()
        (data / "takes").symlink_to(tmp_path / "takes")
        async with Stage.open(tmp_path / "first") as first:
            _, client = await first.server(data_dir=str(data), root=(str(stage.audio_folder),))
            client.say("notify", 1, 0, "patch")
            client.say("edit", 1, str(stage.audio), "slow 10")
            await client.expect("progress", id=1, stage="generating")
            (data / "journal.reserve").unlink(missing_ok=True)
            ballast = first.fill(data)
            await client.expect("log", level=2, patience=30)
        assert not client.ends(1)
        ballast.unlink()
        _, client = await stage.server(data_dir=str(data))
        client.say("notify", 1, 0, "patch")
        client.say("job/query", 1)
        assert (await client.expect("done", id=1))["results"] == 1


def test_the_documents_table_is_this_one():
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    assert page.split("<!-- table -->\n")[1].split("\n<!-- end of table -->")[0] == table(SCENARIOS)


def test_every_code_of_the_table_is_in_the_protocol():
    assert {row.code for row in SCENARIOS} - {""} <= set(ERROR_CODES)
