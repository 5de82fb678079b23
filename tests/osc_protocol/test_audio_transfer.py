"""Two state machines and a wire that loses, doubles and reorders.

Time is a number that the test counts up.
"""

import heapq
import random
import zlib

import pytest

from osc_protocol import (
    DownloadReceiver,
    UploadReceiver,
    UploadSender,
    decode_packet,
    decode_reply,
    encode,
)
from osc_protocol.audio_receiver import EARLY_CHUNKS

AUDIO = random.Random(7).randbytes(100_000)  # 27 chunks of 3840 bytes
LIMIT = 1 << 20


def receiver(kind=UploadReceiver, **options):
    return kind(5, "up:1", now=0.0, **{"limit_bytes": LIMIT, **options})


def ask(end, name, *args, now=0.0):
    """Send one message to a receiver; its answers, as (address without root, values without id)."""
    (request,) = decode_packet(encode(f"/retimbre/audio/{name}", 5, *args))
    return [
        (
            reply.address.removeprefix("/retimbre/"),
            [v for k, v in reply.values.items() if k != "id"],
        )
        for reply in map(decode_reply, end.on_message(request, now))
    ]


def crc32(data):
    return f"{zlib.crc32(data):08x}"


class Wire:
    """Carries packets between a sender and a receiver, badly if asked, until both are still."""

    def __init__(
        self,
        sender,
        receiver,
        *,
        is_download=False,
        loss=0.0,
        doubling=0.0,
        jitter_seconds=0.0,
        seed=1,
    ):
        self.sender, self.receiver = sender, receiver
        read_request = lambda packet: decode_packet(packet)[0]  # noqa: E731
        self.to_receiver, self.to_sender = (
            (decode_reply, read_request) if is_download else (read_request, decode_reply)
        )
        self.loss, self.doubling, self.jitter_seconds = loss, doubling, jitter_seconds
        self.random, self.queue, self.count, self.now = random.Random(seed), [], 0, 0.0
        self.stored = bytearray()
        self.most_on_the_way = 0

    def post(self, packets, to):
        for packet in packets:
            for _ in range(1 + (self.random.random() < self.doubling)):
                if self.random.random() >= self.loss:
                    self.count += 1
                    arrives = self.now + 0.001 + self.random.random() * self.jitter_seconds
                    heapq.heappush(self.queue, (arrives, self.count, to, packet))

    def run(self):
        self.post(self.sender.start(self.now), "receiver")
        while not self.sender.is_over:
            if self.queue and self.queue[0][0] <= self.sender.next_tick:
                self.deliver(*heapq.heappop(self.queue))
            else:
                self.now = max(self.now, self.sender.next_tick)
                self.post(self.sender.on_tick(self.now), "receiver")
        return self

    def deliver(self, now, _, to, packet):
        self.now = now
        if to == "receiver":
            self.post(self.receiver.on_message(self.to_receiver(packet), now), "sender")
            self.stored += self.receiver.take()
        else:
            self.post(self.sender.on_reply(self.to_sender(packet), now), "receiver")
            self.most_on_the_way = max(self.most_on_the_way, len(self.sender._flights))


# -------------------------------------------------------------------------------------------------
# both together


def test_an_upload_arrives_and_has_a_handle():
    wire = Wire(UploadSender(5, AUDIO), receiver()).run()
    assert (wire.sender.state, wire.receiver.state) == ("done", "done")
    assert wire.stored == AUDIO
    assert (wire.sender.handle, wire.sender.fraction) == ("up:1", 1.0)
    assert wire.sender.sent == wire.sender.chunks == 27


def test_a_download_arrives_by_the_same_machines_with_roles_swapped():
    wire = Wire(UploadSender(5, AUDIO), receiver(DownloadReceiver), is_download=True).run()
    assert (wire.sender.state, wire.receiver.state) == ("done", "done")
    assert wire.stored == AUDIO


@pytest.mark.parametrize("is_download", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_a_wire_that_loses_doubles_and_reorders_delivers_all_the_same(seed, is_download):
    kind = DownloadReceiver if is_download else UploadReceiver
    wire = Wire(
        UploadSender(5, AUDIO),
        receiver(kind),
        is_download=is_download,
        loss=0.2,
        doubling=0.2,
        jitter_seconds=0.05,
        seed=seed,
    ).run()
    assert wire.sender.state == "done"
    assert wire.stored == AUDIO


def test_no_more_than_the_window_is_on_its_way():
    wire = Wire(UploadSender(5, AUDIO), receiver(window=3), loss=0.1).run()
    assert wire.most_on_the_way == 3


def test_little_is_sent_twice_when_little_is_lost():
    wire = Wire(UploadSender(5, AUDIO * 10), receiver(), loss=0.05).run()
    # 5 % of the chunks and 5 % of the acks: 1.1 at best
    assert wire.sender.sent < 1.2 * wire.sender.chunks


def test_the_smaller_of_both_chunk_sizes_is_used():
    assert (
        Wire(UploadSender(5, AUDIO, most_chunk_bytes=1000), receiver()).run().sender.chunks == 100
    )
    assert Wire(UploadSender(5, AUDIO), receiver(chunk_bytes=1000)).run().sender.chunks == 100


def test_nothing_at_all_can_be_sent():
    wire = Wire(UploadSender(5, b""), receiver()).run()
    assert (wire.sender.state, wire.stored) == ("done", b"")


# -------------------------------------------------------------------------------------------------
# receiver


def test_open_is_answered_with_the_terms_each_time():
    end = receiver()
    terms = [("audio/ready", [3840, 8, "up:1"])]
    assert ask(end, "open", 48000, 2, 12500, "f32le") == terms == ask(end, "open")


def test_every_chunk_is_acknowledged_and_repeats_count_once():
    end = receiver()
    assert ask(end, "data", 0, b"ab") == [("audio/ack", [0, 1])]
    assert ask(end, "data", 2, b"ef") == [("audio/ack", [2, 2])]
    assert ask(end, "data", 2, b"ef") == [("audio/ack", [2, 2])]
    assert ask(end, "data", 0, b"ab") == [("audio/ack", [0, 2])]


def test_bytes_come_out_in_order_as_soon_as_they_can():
    end = receiver()
    ask(end, "data", 1, b"cd")
    assert end.take() == b""
    ask(end, "data", 0, b"ab")
    assert end.take() == b"abcd"
    assert end.take() == b""


def test_close_names_what_is_missing_then_is_done_and_says_so_again():
    end = receiver()
    ask(end, "data", 1, b"cd")
    assert ask(end, "close", 3, crc32(b"abcdef")) == [("audio/missing", [(0, 2)])]
    ask(end, "data", 0, b"ab")
    ask(end, "data", 2, b"ef")
    done = [("done", ["/retimbre/audio/close", "up:1"])]
    assert (
        ask(end, "close", 3, crc32(b"abcdef").upper())
        == done
        == ask(end, "close", 3, crc32(b"abcdef"))
    )


def test_at_most_32_missing_chunks_are_named_at_once():
    ((_, [indexes]),) = ask(receiver(), "close", 1000, "00000000")
    assert indexes == tuple(range(32))


@pytest.mark.parametrize("chunks, checksum", [(1, "00000000"), (0, crc32(b"ab"))])
def test_a_wrong_sum_or_count_fails_the_upload(chunks, checksum):
    end = receiver()
    ask(end, "data", 0, b"ab")
    ((address, (command, code, message, _)),) = ask(end, "close", chunks, checksum)
    assert (address, command, code) == ("fail", "/retimbre/audio/close", "bad_audio")
    assert crc32(b"ab") in message
    assert end.state == "failed"


def test_a_chunk_after_the_end_is_stale():
    end = receiver()
    ask(end, "close", 0, "00000000")
    assert ask(end, "data", 0, b"ab")[0][1][1] == "stale_chunk"


def test_a_chunk_larger_than_agreed_is_refused_and_the_rest_may_go_on():
    end = receiver(chunk_bytes=4)
    assert ask(end, "data", 0, b"12345")[0][1][1] == "bad_args"
    assert ask(end, "data", 0, b"1234")[0][0] == "audio/ack"


def test_more_than_the_limit_ends_the_upload():
    end = receiver(limit_bytes=3)
    ask(end, "data", 0, b"ab")
    assert ask(end, "data", 1, b"cd")[0][1][1] == "too_large"
    assert end.state == "failed"


def test_what_waits_behind_a_gap_is_bounded():
    end = receiver(limit_bytes=1 << 30, chunk_bytes=1 << 20)
    chunk = bytes(1 << 20)
    answered = [bool(ask(end, "data", index, chunk)) for index in range(1, 20)]
    assert answered == [True] * 4 + [False] * 15  # 4 MiB, then no ack: they will come again
    assert ask(end, "data", 0, chunk) == [("audio/ack", [0, 5])]
    assert len(end.take()) == 5 << 20


def test_tiny_chunks_behind_a_gap_are_counted_too():
    end = receiver()
    answered = [bool(ask(end, "data", index, b"x")) for index in range(1, EARLY_CHUNKS + 10)]
    assert answered == [True] * EARLY_CHUNKS + [False] * 9


def test_a_silent_upload_expires_after_a_minute():
    end = receiver()
    ask(end, "data", 0, b"ab", now=30.0)
    assert not end.is_expired(90.0)
    assert end.is_expired(90.1)


def test_a_download_that_fails_is_cancelled():
    request = decode_reply(encode("/retimbre/audio/close", 5, 0, "12345678"))
    (packet,) = receiver(DownloadReceiver).on_message(request, 0.0)
    assert decode_packet(packet)[0].address == "/retimbre/cancel"


# -------------------------------------------------------------------------------------------------
# sender


def reply(name, *args):
    return decode_reply(encode(f"/retimbre/{name}", *args))


def packets_of(packets):
    """(name, first value after the id) of each message."""
    return [
        (request.address.removeprefix("/retimbre/audio/"), *list(request.values.values())[1:2])
        for packet in packets
        for request in decode_packet(packet)
    ]


def sending(window=4, chunks=6):
    """A sender that has been told to go on, and what it then sent."""
    sender = UploadSender(5, bytes(chunks))
    sender.start(0.0)
    return sender, packets_of(sender.on_reply(reply("audio/ready", 5, 1, window, "up:1"), 0.1))


def test_the_opening_says_what_the_audio_is():
    (packet,) = UploadSender(5, AUDIO, "f32le", rate_hz=48000, channels=2, frames=12500).start(0.0)
    assert decode_packet(packet)[0].values == {
        "id": 5,
        "rate": 48000,
        "channels": 2,
        "frames": 12500,
        "format": "f32le",
    }


def test_the_window_is_filled_and_every_ack_brings_one_more():
    sender, first = sending()
    assert first == [("data", 0), ("data", 1), ("data", 2), ("data", 3)]
    assert packets_of(sender.on_reply(reply("audio/ack", 5, 0, 1), 0.2)) == [("data", 4)]
    assert sender.fraction == 1 / 6


def test_a_chunk_that_three_later_ones_overtook_is_sent_again_at_once():
    sender, _ = sending()
    assert packets_of(sender.on_reply(reply("audio/ack", 5, 1, 1), 0.2)) == [("data", 4)]
    assert packets_of(sender.on_reply(reply("audio/ack", 5, 2, 2), 0.2)) == [("data", 5)]
    assert packets_of(sender.on_reply(reply("audio/ack", 5, 3, 3), 0.2)) == [("data", 0)]


def test_without_any_ack_the_window_is_sent_again_and_the_wait_doubles():
    sender, _ = sending()
    wait = sender.next_tick - 0.1
    assert sender.on_tick(sender.next_tick - 0.01) == []
    assert len(sender.on_tick(sender.next_tick)) == 4
    assert sender.next_tick - (0.1 + wait) == pytest.approx(2 * wait)


def test_the_close_follows_the_last_ack_and_is_repeated():
    sender, _ = sending(window=8)
    for index in range(5):
        assert sender.on_reply(reply("audio/ack", 5, index, index + 1), 0.2) == []
    assert packets_of(sender.on_reply(reply("audio/ack", 5, 5, 6), 0.2)) == [("close", 6)]
    assert packets_of(sender.on_tick(sender.next_tick)) == [("close", 6)]


def test_silence_fails_the_transfer():
    sender = UploadSender(5, AUDIO)
    sender.start(0.0)
    assert len(sender.on_tick(9.9)) == 1
    assert sender.on_tick(10.1) == []
    assert (sender.state, sender.error[0], sender.next_tick) == ("failed", "timed_out", None)


def test_a_fail_about_the_transfer_ends_it_and_others_do_not():
    sender, _ = sending()
    sender.on_reply(reply("fail", "/retimbre/edit", 5, "busy", "no"), 0.2)
    sender.on_reply(reply("fail", "/retimbre/audio/data", 6, "busy", "no"), 0.2)
    assert sender.state == "sending"
    sender.on_reply(reply("fail", "/retimbre/audio/data", 5, "too_large", "no"), 0.2)
    assert (sender.state, sender.error) == ("failed", ("too_large", "no"))


def test_answers_to_others_and_late_ones_are_ignored():
    sender, _ = sending()
    assert sender.on_reply(reply("audio/ack", 6, 0, 1), 0.2) == []
    assert sender.on_reply(reply("audio/ready", 5, 1, 4, "up:1"), 0.2) == []
    assert sender.on_reply(reply("audio/ack", 5, 99, 1), 0.2) == []
    assert sender.on_reply(reply("pong"), 0.2) == []
