"""Old takes go, with the journal's consent and never one that somebody needs."""

import asyncio
import time

from server.jobs.retention import DAY_SECONDS, STEADY_SECONDS, Retention, SteadyClock, choose, owner

JOBS = [
    ("job-1", 100.0, False),
    ("job-2", 200.0, True),
    ("job-3", 300.0, False),
    ("job-4", 400.0, False),
]
SIZES = {name: 10 for name, _, _ in JOBS}


class Clock:
    def __init__(self):
        self.wall, self.own = 1e9, 0.0

    def steady(self):
        return SteadyClock(lambda: self.wall, lambda: self.own)

    def pass_by(self, seconds):
        self.wall, self.own = self.wall + seconds, self.own + seconds


def test_the_oldest_go_until_the_rest_has_room():
    assert choose(JOBS, SIZES, float("-inf"), 25, set()) == ["job-1", "job-3"]


def test_what_is_in_use_or_spared_stays_however_old():
    assert choose(JOBS, SIZES, 1000.0, float("inf"), {"job-3"}) == ["job-1", "job-4"]


def test_the_journal_has_a_greatest_length():
    assert choose(JOBS, {}, float("-inf"), float("inf"), set(), max_jobs=3) == ["job-1"]


def test_a_file_belongs_to_the_job_in_whose_folder_it_lies(tmp_path):
    assert owner(str(tmp_path / "job-1" / "take-2" / "a.wav"), tmp_path) == "job-1"
    assert owner("/music/a.wav", tmp_path) == ""


def test_the_calendar_is_believed_after_an_hour_without_a_jump():
    clock = Clock()
    steady = clock.steady()
    assert not steady.is_steady
    clock.pass_by(STEADY_SECONDS)
    assert steady.is_steady
    clock.wall += 10 * 365 * DAY_SECONDS
    assert not steady.is_steady
    clock.pass_by(STEADY_SECONDS)
    assert steady.is_steady


def retention(server, days=0, gigabytes=0, spared=frozenset(), clock=None):
    return Retention(
        server.services.journal,
        server.services.journal_thread,
        server.services.file_threads,
        server.paths.takes,
        days,
        gigabytes,
        lambda: set(spared),
        clock,
    )


async def make_takes(client, audio, *numbers):
    for number in numbers:
        client.say("edit", number, str(audio), "copy")
    return [
        (await client.expect("done", id=number, command="/retimbre/edit"))
        and client.all("ack", id=number)[0].values["job"]
        for number in numbers
    ]


async def test_takes_that_are_too_many_go_with_their_rows_and_files(server, connect, audio):
    client = await connect("udp")
    jobs = await make_takes(client, audio, 1, 2, 3)
    client.say("take/use", 2)
    await client.expect("done", command="/retimbre/take/use")
    keeper = retention(server, gigabytes=1, spared={jobs[2]})
    keeper._keep_bytes = 1
    assert await keeper.prune() == 1
    assert sorted(path.name for path in server.paths.takes.glob("job-*")) == sorted(jobs[1:])
    client.say("take/list")
    assert (await client.expect("take/list.end"))["count"] == 2


async def test_a_clock_that_jumps_forward_deletes_nothing(server, connect, audio):
    await make_takes(await connect("udp"), audio, 1)
    clock = Clock()
    clock.wall = time.time()
    keeper = retention(server, days=30, clock=clock.steady())
    clock.wall += 3650 * DAY_SECONDS
    assert await keeper.prune() == 0
    clock.pass_by(STEADY_SECONDS)
    assert await keeper.prune() == 1  # for so long nobody set it right: it is right


async def test_a_crash_between_the_mark_and_the_files_is_made_good(server, connect, audio):
    (job,) = await make_takes(await connect("udp"), audio, 1)
    await server.services.journal_thread(server.services.journal.mark_pruned, [job])
    assert await asyncio.wait_for(retention(server).prune(), 10) == 1
    assert not (server.paths.takes / job).exists()


async def test_what_was_just_made_or_is_a_region_is_spared(server, connect, audio):
    client = await connect("udp")
    (job,) = await make_takes(client, audio, 1)
    client.say("region", 1, client.all("result", id=1)[0].values["path"])
    await client.expect("region.reply")
    server.services.registry.drop(server.services.registry.all()[0])  # as after ten minutes
    assert server.services.retention._spared() == {job}
