"""Bad networks, short; `python -m tests.faults` has more patience."""

import pytest

from tests.faults.network import WEATHERS, come_back, exchange, in_memory, vanish


@pytest.mark.parametrize("name", ["20 % overtaken", "all of it, 20 % lost"])
async def test_uploads_arrive_whole_and_every_job_has_one_end(name, server, audio):
    figures = await exchange(server, audio.parent, WEATHERS[name], seed=3)
    assert figures.ends == {1: 6}
    assert "lost" not in name or figures.lost > 10


async def test_clients_that_vanish_leave_what_has_a_stated_bound_and_no_more(
    server, audio, monkeypatch
):
    monkeypatch.setattr("server.wire.sessions.MAX_PEERS", 8)
    monkeypatch.setattr("server.wire.sessions.MAX_KEPT", 12)
    before, _, after = await vanish(server, audio.parent, clients=20)
    assert (after["peers"], after["kept"], after["uploads"], after["repeats"], after["jobs"]) == (
        8,
        12,
        0,
        0,
        0,
    )
    assert after["tasks"] <= before["tasks"] + 1
    server.services.registry.drop(server.services.registry.all()[0])
    for job in server.services.registry.all():
        server.services.registry.drop(job)  # as after ten minutes
    server.services.registry._ended.clear()
    assert in_memory(server)["sessions"] == 8


async def test_a_client_that_comes_back_finds_its_results(server, audio):
    await come_back(server, audio.parent)
