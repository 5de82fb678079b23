"""What is said over one connection, without sockets and with a clock of our own."""

import pytest
from retimbre_client.conversation import Conversation
from retimbre_client.exchange import request
from retimbre_client.job_exchange import QUIET_SECONDS, JobExchange
from retimbre_client.questions import Question
from retimbre_client.transfers import Upload
from retimbre_client.values import NoServer

from osc_protocol import ROOT, Request, decode_packet, decode_reply, encode

SILENCE_SECONDS = 10.0


def introduction(is_first):
    return [Question("notify", (1, 0, "me"), "done", 5.0 if is_first else float("inf"))]


@pytest.fixture
def talk():
    """A conversation in which the server knows us already."""
    conversation = Conversation(introduction, lambda *_: None, lambda *_: None)
    conversation.open(0.0)
    conversation.hear(encode(f"{ROOT}/done", f"{ROOT}/notify", 0, 1, 11_021), 0.0)
    conversation.take()
    return conversation


def take_names(conversation):
    """Names of the requests that it sends now."""
    requests = [message for packet in conversation.take() for message in decode_packet(packet)]
    assert all(isinstance(message, Request) for message in requests)
    return [message.address.removeprefix(f"{ROOT}/") for message in requests]


def job(id=7):
    return JobExchange(id, "edit", request("edit", id, "/a.wav", "a violin"), SILENCE_SECONDS)


def progress(id=7):
    return encode(f"{ROOT}/progress", id, 0.5, "generating", 1.0, 0)


def result(id=7):
    return encode(f"{ROOT}/result", id, 0, "violin", "/s.wav", 48_000, 1, 480, 0.0, 0.0)


def end_reply(id=7, serial=5, results=1):
    return encode(f"{ROOT}/done", f"{ROOT}/edit", id, serial, results, 3, "/m.json", 1.0)


def test_nothing_is_said_before_the_server_knows_us():
    conversation = Conversation(introduction, lambda *_: None, lambda *_: None)
    conversation.open(0.0)
    conversation.begin(job(), 0.0)
    assert take_names(conversation) == ["notify"]
    conversation.hear(encode(f"{ROOT}/done", f"{ROOT}/notify", 0, 1, 11_021), 0.1)
    assert take_names(conversation) == ["edit"]


def test_what_is_not_acknowledged_is_repeated_more_and_more_seldom(talk):
    talk.begin(job(), 0.0)
    take_names(talk)
    times = []
    while talk.next_tick < 8.0:
        now = talk.next_tick
        talk.tick(now)
        times += [now] * len(take_names(talk))
    assert times == [0.25, 0.75, 1.75, 3.75, 5.75, 7.75]


def test_an_acknowledged_job_is_asked_for_only_when_it_falls_silent(talk):
    talk.begin(job(), 0.0)
    talk.hear(encode(f"{ROOT}/ack", 7, "job-1", 0, -1.0), 0.01)
    talk.hear(progress(), 1.5)
    take_names(talk)
    assert talk.next_tick == 1.5 + QUIET_SECONDS
    talk.tick(talk.next_tick)
    assert take_names(talk) == ["edit"]


def test_words_about_a_job_feed_its_watchdog_for_as_long_as_it_takes(talk):
    long = job()
    talk.begin(long, 0.0)
    for second in range(1, 3600, 2):
        talk.hear(progress(), float(second))
        talk.tick(float(second))
    assert not long.is_over
    talk.tick(3599.0 + SILENCE_SECONDS)
    assert isinstance(long.error, NoServer)


def test_one_job_that_speaks_does_not_feed_another(talk):
    loud, silent = job(1), job(2)
    talk.begin(loud, 0.0)
    talk.begin(silent, 0.0)
    talk.hear(progress(1), 9.0)
    talk.tick(SILENCE_SECONDS)
    assert (loud.is_over, silent.is_over) == (False, True)


def test_each_end_is_acknowledged_also_its_repeats(talk):
    mine = job()
    talk.begin(mine, 0.0)
    take_names(talk)
    for _ in range(2):
        talk.hear(result(), 1.0)
        talk.hear(end_reply(), 1.0)
        assert take_names(talk) == ["got"]
    assert len(mine.outcome.stems) == 1


def test_an_end_whose_stem_was_lost_is_not_acknowledged_but_asked_for(talk):
    mine = job()
    talk.begin(mine, 0.0)
    take_names(talk)
    talk.hear(end_reply(), 0.1)
    assert (take_names(talk), mine.is_over) == ([], False)
    talk.tick(0.25)
    assert take_names(talk) == ["job/query"]
    talk.hear(result(), 0.3)
    talk.hear(end_reply(), 0.3)
    assert mine.is_over


def test_after_a_restart_we_say_who_we_are_and_then_everything_again(talk):
    talk.begin(job(1), 0.0)
    talk.begin(job(2), 0.0)
    talk.hear(result(1), 0.1)
    talk.hear(end_reply(1), 0.1)
    take_names(talk)
    talk.reopen(1.0)
    talk.reopen(1.1)  # each refused datagram says so; one introduction does
    assert take_names(talk) == ["notify"]
    talk.tick(1.2)
    assert take_names(talk) == []
    talk.hear(encode(f"{ROOT}/done", f"{ROOT}/notify", 0, 1, 11_021), 1.3)
    assert take_names(talk) == ["edit"]


def test_giving_up_ends_everything_once(talk):
    mine, ended = job(), []
    mine.on_end = ended.append
    talk.begin(mine, 0.0)
    talk.give_up(NoServer("not_ready", "gone"))
    talk.give_up(NoServer("not_ready", "gone"))
    assert ended == [mine] and talk.next_tick == float("inf")


def test_garbage_costs_a_line_of_the_log():
    logged = []
    conversation = Conversation(
        introduction, lambda level, text: logged.append(text), lambda *_: None
    )
    conversation.hear(b"GET / HTTP/1.1\r\n", 0.0)
    assert "left unread" in logged[0]


def test_an_upload_reads_only_what_it_sends():
    class Hour:
        read = 0

        def __len__(self):
            return 1 << 30

        def __getitem__(self, part):
            self.read += part.stop - part.start
            return bytes(part.stop - part.start)

    hour = Hour()
    upload = Upload("a", hour, "wav", SILENCE_SECONDS, lambda fraction: None)
    upload.start(0.0)
    packets = upload.hear(decode_reply(encode(f"{ROOT}/audio/ready", "a", 3840, 8, "handle")), 0.0)
    assert (len(packets), hour.read) == (8, 8 * 3840)


def test_captured_bars_are_asked_for_once_and_then_only_how_they_are(talk):
    talk.begin(
        JobExchange(7, "capture", request("capture", 7, 4, "a violin"), SILENCE_SECONDS), 0.0
    )
    assert take_names(talk) == ["capture"]
    talk.hear(encode(f"{ROOT}/ack", 7, "job-1", 0, -1.0), 0.1)
    talk.reopen(1.0)  # the server was started anew, and other bars are the last ones now
    talk.hear(encode(f"{ROOT}/done", f"{ROOT}/notify", 0, 1, 11_021), 1.1)
    assert take_names(talk) == ["notify", "job/query"]
    talk.hear(encode(f"{ROOT}/done", f"{ROOT}/capture", 7, 5, 0, 3, "/m.json", 1.0), 1.2)
    assert take_names(talk) == ["got"]


def test_what_may_take_long_is_repeated_rarely(talk):
    talk.begin(Question("live/start", (), "done", 45.0), 0.0)
    talk.tick(2.0)
    assert take_names(talk) == ["live/start"]
    talk.tick(2.5)
    assert take_names(talk) == ["live/start"]
