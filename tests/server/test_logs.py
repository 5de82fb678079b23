"""Log lines: what they hold, where they go, how much of them there can be."""

import contextlib
import json
import logging
import queue

import pytest

from server import logs
from server.logs import JsonLines, TextLines, tail, write_logs

log = logging.getLogger("server.somewhere")
ABOUT = {
    "job": "job-1",
    "client": "here/max",
    "verb": "/retimbre/edit",
    "seconds": 1.23456789,
    "code": "",
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log" / "server.jsonl"


def test_a_line_is_one_object_with_the_fields_that_were_given(path):
    with write_logs(path, "warning", "text", 1):
        log.info("job\nended", extra=ABOUT)
    (line,) = tail(path, 10)
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "from": "server.somewhere",
        "what": "job\nended",
        "job": "job-1",
        "client": "here/max",
        "verb": "/retimbre/edit",
        "seconds": 1.2346,
    }
    assert len(path.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        (
            "text",
            "WARNING server.somewhere: job ended "
            "(job=job-1 client=here/max verb=/retimbre/edit seconds=1.2346)",
        ),
        ("json", '"what": "job ended"'),
    ],
)
def test_standard_error_has_the_format_and_level_that_were_asked_for(
    path, capsys, format, expected
):
    with write_logs(path, "warning", format, 0):
        log.info("not this")
        log.warning("job ended", extra=ABOUT)
    told = capsys.readouterr().err
    assert expected in told and "not this" not in told and not path.exists()


def test_a_mistake_has_its_trace(path):
    with write_logs(path, "error", "text", 1):
        try:
            raise ValueError("oh")
        except ValueError:
            log.exception("a request failed")
    (line,) = tail(path, 10)
    assert "test_logs.py" in line["trace"] and "ValueError: oh" in line["trace"]


def test_the_files_never_grow_beyond_their_bound_and_the_tail_spans_them(path):
    with write_logs(path, "error", "text", 1):
        for number in range(3000):
            log.info("x" * 900, extra={"count": number})
    files = [each for each in path.parent.iterdir() if each != logs.crash_file(path)]
    assert len(files) == logs.FILES and sum(each.stat().st_size for each in files) <= 1e6
    numbers = [line["count"] for line in tail(path, 600)]
    assert numbers == list(range(2400, 3000))


def test_a_disk_that_stands_still_costs_lines_and_no_memory():
    lines = queue.Queue(3)
    handler = logs._QueuedLines(lines)
    for number in range(10):
        handler.handle(logging.makeLogRecord({"msg": str(number)}))
    assert lines.qsize() == 3
    lines.get()
    lines.get()
    handler.handle(logging.makeLogRecord({"msg": "later"}))
    kept_lines = [lines.get() for _ in range(lines.qsize())]
    assert [line.msg for line in kept_lines] == [
        "2",
        "lines were not kept: the disk is slow",
        "later",
    ]
    assert kept_lines[1].count == 7


def test_a_folder_that_cannot_be_written_keeps_nobody_from_serving(tmp_path, capsys):
    (tmp_path / "log").write_text("a file where the folder should be")
    with write_logs(tmp_path / "log" / "server.jsonl", "warning", "text", 1):
        log.warning("still here")
    assert "no log file" in (told := capsys.readouterr().err) and "still here" in told


def test_nothing_of_it_stays_after_the_block(path):
    before = logging.getLogger().handlers[:]
    with contextlib.suppress(KeyError), write_logs(path, "info", "json", 1):
        raise KeyError
    assert logging.getLogger().handlers == before


@pytest.mark.parametrize("formatter", [JsonLines, TextLines])
def test_a_value_of_any_kind_is_shown(formatter):
    record = logging.makeLogRecord(
        {"msg": "%s", "args": (1,), "reason": OSError(2, "gone"), "said": {"a": b"\xff"}}
    )
    assert "gone" in formatter().format(record)


def test_half_a_line_after_a_power_cut_is_left_out(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"what": "whole"}) + '\n{"what": "ha')
    assert tail(path, 5) == [{"what": "whole"}]


async def test_passwords_and_prompts_are_logged_nowhere(server, connect, audio, caplog):
    caplog.set_level(logging.DEBUG)
    client = await connect("udp")
    client.say("dump", 2)
    client.say("auth", "planted-password")
    client.say("dump", 0)
    client.say("edit", 1, str(audio), "copy planted-prompt")
    await client.expect("done", id=1, command="/retimbre/edit")
    client.say("edit", 2, str(audio), "fail out_of_memory")
    await client.expect("fail", id=2)
    shown = "\n".join(
        JsonLines().format(record) for record in caplog.records if record.name.startswith("server")
    )
    assert "/retimbre/auth" in shown and '"what": "job done"' in shown
    assert "planted-password" not in shown and "planted-prompt" not in shown
