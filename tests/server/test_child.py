"""Real child processes at the other end of the pipe."""

import logging
import os
import sys

import pytest

from server import child
from server.child import ChildProcess, describe_end

log = logging.getLogger(__name__)


async def run(script, *requests):
    """What the script sends, and why it ended."""
    events = []
    process = ChildProcess("the script", events.append, log)
    await process.start([sys.executable, "-c", script])
    for request in requests:
        process.send(request)
    process.close_input()
    return events, await process.run()


async def test_requests_go_in_as_lines_and_events_come_out():
    script = (
        "import json, sys\n"
        "for line in sys.stdin: print(json.dumps({'event': 'echo', 'of': json.loads(line)}))"
    )
    events, reason = await run(script, {"op": "ä"}, {"op": "b"})
    assert [event["of"] for event in events] == [{"op": "ä"}, {"op": "b"}]
    assert reason == "the script ended with exit code 0"


async def test_the_last_line_of_the_log_explains_the_end():
    events, reason = await run("import sys; sys.exit('a driver fell over')")
    assert not events and reason == "the script ended with exit code 1 (a driver fell over)"


async def test_a_line_without_end_ends_the_process(monkeypatch):
    monkeypatch.setattr(child, "MAX_LINE_BYTES", 1000)
    _, reason = await run("print('x' * 10**6); import time; time.sleep(60)")
    assert reason == "the script wrote a line that is too long"


async def test_an_event_that_cannot_be_handled_does_not_hide_the_next_ones(caplog):
    seen = []

    def handle(event):
        seen.append(event["event"])
        raise ValueError("a mistake of ours")

    process = ChildProcess("the script", handle, log)
    await process.start(
        [sys.executable, "-c", "for name in 'ab': print('{\"event\": \"%s\"}' % name)"]
    )
    await process.run()
    assert seen == ["a", "b"] and "an event of the script" in caplog.text


@pytest.mark.skipif(os.name == "nt", reason="signals")
async def test_a_process_that_we_end_says_why():
    process = ChildProcess("the script", lambda event: process.kill("enough"), log)
    await process.start([sys.executable, "-c", 'print(\'{"event": "a"}\', flush=True); input()'])
    assert process.is_running and process.pid
    assert await process.run() == "enough" and process.pid is None


def test_a_signal_has_its_name():
    assert describe_end("the worker", -11) == "the worker was killed by SIGSEGV"
    assert "memory runs out" in describe_end("the worker", -9)
