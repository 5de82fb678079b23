"""The order in which jobs are served, in memory and seen from outside."""

import asyncio

import pytest

from server.jobs.job import RUNNING, Job, JobRegistry
from server.jobs.queue import FairQueue, order_by_turns
from server.jobs.records import JobRecord
from tests.server.clients import job_spec


def jobs(text):
    """`a1 b+2 a` -> jobs of the clients a, b (priority 2) and a, in this order of arrival."""
    made = []
    for order, word in enumerate(text.split(), start=1):
        client, _, priority = word.partition("+")
        record = JobRecord(
            f"{word}#{order}",
            client[0],
            order,
            "/retimbre/edit",
            "",
            "",
            job_spec(priority=int(priority or 0)),
            0.0,
        )
        made.append(Job(record, None, order=order))
    return made


def names(order):
    return " ".join(job.name.partition("#")[0] for job in order)


@pytest.mark.parametrize(
    ("waiting", "since", "order"),
    [
        ("a1 a2 a3", {}, "a1 a2 a3"),
        ("a1 a2 a3 b1 c1", {"a": (5, True), "b": (4, False), "c": (6, False)}, "b1 a1 c1 a2 a3"),
        ("a1 a2 a3 b1 c1", {"a": (5, True), "b": (4, False), "c": (5, False)}, "b1 c1 a1 a2 a3"),
        ("a1 b1 b2 a2", {}, "a1 b1 a2 b2"),
        ("a1 a2 b1+1 a3+1 b2", {}, "b1+1 a3+1 b2 a1 a2"),
        ("a1+-1 b1+-1 a2", {"a": (1, True), "b": (2, True)}, "a2 b1+-1 a1+-1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_clients_take_turns_within_a_priority(waiting, since, order):
    assert names(order_by_turns(jobs(waiting), since)) == order


def test_a_client_that_waits_is_not_passed_by_later_ones_however_many():
    """When newcomers were first, one every few seconds kept all others waiting for ever."""
    registry, order = JobRegistry(), []
    queue = FairQueue(registry)
    for number, job in enumerate(jobs("a1 a2 b1 c1 d1 e1 f1 g1 h1 i1")):
        registry.add(job)
        queue.position(job)
        if number < 2:
            continue
        served = queue.first()
        queue.begin(served)
        registry.close(served)
        order.append(served)
    assert names(order) == "a1 b1 c1 a2 d1 e1 f1 g1"


def test_jobs_run_in_the_order_that_was_promised():
    registry = JobRegistry()
    for job in jobs("a1 b1 b2 a2 c1+2 a3 c2 c3 b3+2 d1 a4+-3 d2"):
        registry.add(job)
    queue, order = FairQueue(registry), []
    told = sorted(registry.living(), key=queue.position)
    while (job := queue.first()) is not None:
        queue.begin(job)
        job.state = RUNNING
        order.append(job)
        registry.close(job)
    assert names(order) == names(told)


def test_a_job_that_comes_later_is_put_where_its_clients_turn_is():
    registry, queue = JobRegistry(), None
    first, second, other = jobs("a1 a2 b1")
    registry.add(first)
    registry.add(second)
    queue = FairQueue(registry)
    assert [queue.position(job) for job in (first, second)] == [0, 1]
    registry.add(other)
    assert [queue.position(job) for job in (first, other, second)] == [0, 1, 2]


def test_a_job_that_is_ending_is_not_waited_for():
    registry = JobRegistry()
    first, second = jobs("a1 a2")
    registry.add(first)
    registry.add(second)
    queue = FairQueue(registry)
    assert queue.first() is first
    first.is_ending = True
    assert queue.first() is second


async def test_a_client_with_one_job_is_not_behind_all_jobs_of_another(connect, audio):
    many, few = await connect("tcp"), await connect("tcp")
    many.say("edit", "now", str(audio), "slow 12")
    await many.expect("progress", id="now", stage="generating")
    for number in range(6):
        many.say("edit", f"m{number}", str(audio), "copy")
    await many.expect("ack", id="m5")
    few.say("edit", "f", str(audio), "copy")
    assert (await few.expect("ack", id="f"))["queue_position"] == 1
    ended = []
    await asyncio.gather(
        *(
            waits_for(client, identity, ended)
            for client, identity in [(few, "f"), *((many, f"m{number}") for number in range(6))]
        )
    )
    assert ended == ["f", *(f"m{number}" for number in range(6))]


async def test_a_job_that_is_not_accepted_keeps_nobody_waiting(server, connect, audio, monkeypatch):
    client = await connect("tcp")
    with monkeypatch.context() as patch:
        patch.setattr(server.services.journal, "add_job", lambda record: [][0])
        client.say("edit", 1, str(audio), "copy")
        assert (await client.expect("fail", id=1))["code"] == "internal"
    client.say("edit", 2, str(audio), "copy")
    await client.expect("done", id=2)


async def waits_for(client, identity, ended):
    await client.expect("done", id=identity)
    ended.append(identity)
