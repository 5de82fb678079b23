"""A short storm; `python -m tests.faults` makes long ones."""

import os

import pytest

from tests.faults.kills import Storm


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_no_kill_loses_a_take_runs_a_job_twice_or_leaves_one_without_its_end(tmp_path):
    figures = await Storm(tmp_path, seed=1, jobs=16, kills=6).run()
    assert figures.server_kills and figures.worker_kills and sum(figures.ends.values()) == 16
