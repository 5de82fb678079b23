"""GET /retimbre/events: order, resuming, bounds."""

import asyncio

import pytest

from server.http import events as module
from server.http.events import EventLog


async def run(call, events, audio, identity):
    await call("edit", id=identity, audio=str(audio), text="copy")
    return await events.expect("done", id=identity)


async def test_a_jobs_events_come_in_order_with_running_numbers(call, listen, audio):
    events = await listen()
    await run(call, events, audio, 1)
    names = [name for name, values in events.seen if values.get("id") == 1]
    assert names == [*["progress"] * (len(names) - 2), "result", "done"]
    assert events.numbers == list(range(events.numbers[0], events.numbers[0] + len(events.numbers)))


async def test_a_stream_resumes_after_the_last_event_that_arrived(call, listen, audio):
    events = await listen()
    await run(call, events, audio, 1)
    seen = events.numbers[-3]
    events.response.close()
    again = await listen(after=seen)
    assert again.numbers[0] == seen + 1
    assert [name for name, _ in again.seen][:1] == [
        events.seen[-2][0]
    ] or again.seen == events.seen[-2:]


async def test_all_that_is_kept_can_be_asked_for(call, listen, audio):
    await run(call, await listen(), audio, 1)
    late = await listen(since="0")
    assert (await late.expect("done"))["id"] == 1


async def test_a_new_stream_brings_only_news(call, listen, audio):
    await run(call, await listen(), audio, 1)
    late = await listen()
    await run(call, late, audio, 2)
    assert {values["id"] for _, values in late.seen if "id" in values} == {2}


async def test_what_is_not_kept_any_more_is_said_to_be_lost(call, listen, monkeypatch):
    monkeypatch.setattr(module, "MAX_EVENTS", 4)
    await call("ping", echo=1)
    first = await listen()
    for _ in range(9):
        first.response.close()
        first = await listen()
    again = await listen(after=first.numbers[0] - 6)
    assert again.seen[0][0] == "lost"
    assert again.seen[0][1] == {"after": first.numbers[0] - 6}
    assert again.numbers == sorted(again.numbers)


async def test_numbers_grow_over_a_restart():
    old = EventLog()
    old.append("state", {})
    await asyncio.sleep(0.005)
    assert EventLog().number >= old.number


async def test_the_log_is_bounded_in_events_and_bytes(monkeypatch):
    log = EventLog()
    for _ in range(module.MAX_EVENTS + 100):
        log.append("progress", {"id": 1})
    assert len(list(log.after(0))) == module.MAX_EVENTS
    for _ in range(50):
        log.append("audio/data", {"bytes": "x" * 10**5})
    assert sum(len(data) for _, data in log.after(0)) <= module.MAX_BYTES


async def test_a_reader_that_does_not_read_is_cut_off(server, listen, call):
    events = await listen()
    log = next(iter(server.http.clients._clients.values())).link.events
    stream = log.streams[0]
    # sockets hold a few megabytes, then the log runs ahead of the reader
    while stream in log.streams:
        log.append("log", {"level": 0, "text": "x" * 10**5})
        await asyncio.sleep(0)
    with pytest.raises((EOFError, OSError, Exception)):
        while True:
            await events.next()
    again = await listen(after=events.numbers[-1])
    assert again.seen[0][0] == "lost"


async def test_a_client_has_a_limited_number_of_streams(listen, server, monkeypatch):
    monkeypatch.setattr(module, "MAX_STREAMS", 2)
    streams = [await listen() for _ in range(3)]
    with pytest.raises(Exception):  # noqa: B017 - EOF or a reset, as the system has it
        while True:
            await streams[0].next()
    server.services.delivery.push("preset/changed", 3)
    assert await streams[2].expect("preset/changed") == {"count": 3}


async def test_pushes_come_while_a_stream_is_open_only(listen, server):
    events = await listen()
    client = next(iter(server.http.clients._clients.values()))
    assert client.peer in server.services.sessions.listeners()
    events.response.close()
    number = client.link.events.number
    server.http.clients.leave(client)  # still listed until its end is noticed
    while client.link.events.streams:
        client.link.events.append("log", {})
        await asyncio.sleep(0.01)
    assert client.peer not in server.services.sessions.listeners()
    assert client.link.events.number > number


async def test_streams_end_when_the_server_stops(listen, server):
    events = await listen()
    server.services.request_stop()
    server.services.request_stop()
    await server.stop()
    with pytest.raises(EOFError):
        while True:
            await events.next()


@pytest.mark.parametrize("number", ["x", "-1", "1e3", "9" * 30])
async def test_a_number_that_is_none_is_refused(http, number):
    async with http.get("/retimbre/events", headers={"Last-Event-ID": number}) as response:
        assert response.status == 400


async def test_an_event_is_one_line_of_json_whatever_is_in_it(listen, server):
    events = await listen()
    server.services.delivery.push("log", 1, "two\nlines\u2028and \N{GRINNING FACE}")
    assert (await events.expect("log"))["text"] == "two\nlines\u2028and \N{GRINNING FACE}"
