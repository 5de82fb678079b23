"""The client against a peer that misbehaves on purpose.

What a real server does to it is in the other files.
"""

import os
import socket
import threading
import time
import zlib

import pytest
from retimbre_client import Client, ClientError, NoServer, Refused

from osc_protocol import ROOT, Request, decode_packet, encode

EDIT, PING = f"{ROOT}/edit", f"{ROOT}/ping"


class Peer:
    """A UDP socket and a function from request to the packets that answer it.

    Pings, the greeting, it answers.
    """

    def __init__(self, answer):
        self.answer, self.requests = answer, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.05)
        self.is_open = True
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while self.is_open:
            try:
                packet, source = self.socket.recvfrom(65_507)
            except TimeoutError:
                continue
            for request in decode_packet(packet):
                is_ping = request.address == PING
                if not is_ping:
                    self.requests.append(request)
                for reply in (
                    [encode(f"{ROOT}/pong", *request.values["echo"])]
                    if is_ping
                    else self.answer(request)
                ):
                    self.socket.sendto(reply, source)

    def asked(self, name):
        return [request for request in self.requests if request.address == f"{ROOT}/{name}"]

    def close(self):
        self.is_open = False
        self.thread.join()
        self.socket.close()


@pytest.fixture
def connect():
    opened = []

    def connect(answer, **options):
        peer = Peer(answer)
        client = Client("127.0.0.1", peer.socket.getsockname()[1], audio_transport="udp", **options)
        opened.extend((client, peer))
        return client, peer

    yield connect
    for each in opened:
        each.close()


VERSION = encode(f"{ROOT}/version.reply", "retimbre", 0, 1, "0", 1, "")


def ack(id):
    return encode(f"{ROOT}/ack", id, "job", 0, -1.0)


def result(id, index=0):
    return encode(
        f"{ROOT}/result", id, index, "violin", f"/takes/{index}.wav", 48_000, 2, 480, 0.0, 0.0
    )


def done(id, results=1, serial=5):
    return encode(f"{ROOT}/done", EDIT, id, serial, results, 3, "/takes/manifest.json", 1.5)


def test_edit_returns_what_came_back(connect):
    def answer(request):
        if request.address == EDIT:
            progress = encode(f"{ROOT}/progress", request.id, 0.5, "generating", 1.0, 0)
            return [ack(request.id), progress, result(request.id), done(request.id)]
        return []

    client, peer = connect(answer)
    seen = []
    outcome = client.edit("/in.wav", "a violin", on_progress=seen.append, seed=3)
    assert [(stem.name, stem.frames, str(stem.path)) for stem in outcome.stems] == [
        ("violin", 480, "/takes/0.wav")
    ]
    assert (outcome.seed, outcome.seconds, seen[0].stage) == (3, 1.5, "generating")
    assert peer.asked("edit")[0].keys == {"seed": 3}


def test_the_end_is_acknowledged_with_its_serial(connect):
    client, peer = connect(
        lambda request: (
            [result(request.id), done(request.id, serial=9)] if request.address == EDIT else []
        )
    )
    client.edit("/in.wav", "a violin", job_id=4)
    client.ping()
    assert peer.asked("got")[0].values == {"id": 4, "serial": 9}


def test_a_lost_request_is_sent_again_under_the_same_id(connect):
    def answer(request):
        if request.address == EDIT and len(peer.asked("edit")) == 3:
            return [result(request.id), done(request.id)]
        return []

    client, peer = connect(answer)
    client.edit("/in.wav", "a violin")
    assert len({request.id for request in peer.asked("edit")}) == 1


def test_a_lost_result_is_asked_for(connect):
    def answer(request):
        if request.address == EDIT:
            return [ack(request.id), result(request.id, 0), done(request.id, results=2)]
        if request.address == f"{ROOT}/job/query":
            return [result(request.id, 0), result(request.id, 1), done(request.id, results=2)]
        return []

    client, _ = connect(answer)
    assert [stem.index for stem in client.edit("/in.wav", "a violin").stems] == [0, 1]


def test_a_failed_job_raises_its_code(connect):
    client, _ = connect(
        lambda request: [encode(f"{ROOT}/fail", EDIT, request.id, "no_file", "no such file", 1)]
    )
    with pytest.raises(Refused) as refusal:
        client.edit("/in.wav", "a violin")
    assert refusal.value.code == "no_file"


def test_silence_gives_the_job_up(connect):
    client, peer = connect(
        lambda request: [ack(request.id)] if len(peer.requests) == 1 else [], silence_seconds=1
    )
    with pytest.raises(NoServer, match="has said nothing"):
        client.edit("/in.wav", "a violin")


def test_two_jobs_do_not_mix_up_their_stems(connect):
    def answer(request):
        if request.address != EDIT or len(peer.asked("edit")) < 2:
            return []
        ids = [each.id for each in peer.asked("edit")]
        return [result(ids[1], 7), result(ids[0], 3), done(ids[1]), done(ids[0])]

    client, peer = connect(answer)
    first, second = (
        client.submit("/a.wav", "x", job_id="a"),
        client.submit("/b.wav", "x", job_id="b"),
    )
    assert first.wait().stems[0].index == 3
    assert second.wait().stems[0].index == 7


def test_a_closed_port_is_no_server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for transport in ("udp", "tcp"):
        with pytest.raises(NoServer, match="retimbre serve"):
            Client("127.0.0.1", port, transport=transport)


def test_a_list_with_a_lost_item_is_asked_for_again(connect):
    def items(request):
        names = ["a", "b"][: len(peer.requests)]
        return [
            *(encode(f"{ROOT}/model/item", name, "t", 1, "MIT", 0.0) for name in names),
            encode(f"{ROOT}/model/list.end", 2),
        ]

    client, peer = connect(items)
    listed = client.collect("model/list", item="model/item", end="model/list.end")
    assert [each["name"] for each in listed] == ["a", "b"]


def test_log_messages_go_to_the_listener(connect):
    said = []
    client, _ = connect(
        lambda request: [encode(f"{ROOT}/log", 2, "careful"), VERSION],
        on_log=lambda level, text: said.append((level, text)),
    )
    client.version()
    assert said == [(2, "careful")]


def test_what_a_newer_server_says_is_left_unread(connect):
    future = b"/retimbre/future\0\0\0\0,\0\0\0"
    client, _ = connect(lambda request: [future, VERSION])
    assert client.version()["protocol"] == 1


def test_a_password_is_tried_once(connect):
    def answer(request):
        time.sleep(0.6)  # longer than the client waits before it repeats other requests
        return [encode(f"{ROOT}/done", f"{ROOT}/auth", 0)]

    _, peer = connect(answer, password="secret")
    assert len(peer.requests) == 1


def test_an_upload_arrives_whole_though_chunks_are_lost(connect, tmp_path):
    audio = bytes(range(256)) * 100
    (tmp_path / "a.wav").write_bytes(audio)
    chunks, lost = {}, {2}

    def answer(request: Request):
        values = request.values
        if request.address == f"{ROOT}/audio/open":
            return [encode(f"{ROOT}/audio/ready", request.id, 3840, 8, "handle-1")]
        if request.address == f"{ROOT}/audio/data":
            if values["index"] in lost:
                lost.remove(values["index"])
                return []
            chunks[values["index"]] = values["bytes"]
            return [encode(f"{ROOT}/audio/ack", request.id, values["index"], len(chunks))]
        whole = b"".join(chunks[index] for index in sorted(chunks))
        assert values["crc32"] == f"{zlib.crc32(whole):08x}"
        return [encode(f"{ROOT}/done", f"{ROOT}/audio/close", request.id, "handle-1")]

    client, _ = connect(answer)
    assert client.upload(tmp_path / "a.wav") == "handle-1"
    assert b"".join(chunks[index] for index in sorted(chunks)) == audio


def test_a_file_that_becomes_shorter_while_it_is_sent_says_so(connect, tmp_path):
    (tmp_path / "a.wav").write_bytes(bytes(25_600))

    def answer(request: Request):
        if request.address == f"{ROOT}/audio/open":
            os.truncate(tmp_path / "a.wav", 5000)
            return [encode(f"{ROOT}/audio/ready", request.id, 3840, 1, "handle-1")]
        return [encode(f"{ROOT}/audio/ack", request.id, request.values["index"], 1)]

    client, _ = connect(answer)
    with pytest.raises(Refused, match="no_file: .*shorter"):
        client.upload(tmp_path / "a.wav")


def test_only_audio_files_are_uploaded(connect, tmp_path):
    client, _ = connect(lambda request: [])
    with pytest.raises(Refused, match="bad_audio"):
        client.upload(tmp_path / "notes.txt")


def test_a_download_arrives_whole(connect):
    audio = bytes(range(256)) * 30
    pieces = [audio[at : at + 3840] for at in range(0, len(audio), 3840)]

    def answer(request: Request):
        name = request.address.removeprefix(f"{ROOT}/audio/")
        if name == "get":
            return [encode(f"{ROOT}/audio/open", request.id, 0, 0, 0, "wav")]
        if name == "ready":
            return [
                encode(f"{ROOT}/audio/data", request.id, index, piece)
                for index, piece in enumerate(pieces)
            ]
        if name == "ack" and request.values["received"] == len(pieces):
            return [
                encode(f"{ROOT}/audio/close", request.id, len(pieces), f"{zlib.crc32(audio):08x}")
            ]
        return []

    client, _ = connect(answer)
    assert client.read("/takes/0.wav") == audio


def test_a_mistake_in_on_progress_cancels_the_job(connect):
    def answer(request):
        if request.address == EDIT:
            return [
                ack(request.id),
                encode(f"{ROOT}/progress", request.id, 0.5, "generating", 1.0, 0),
            ]
        if request.address == f"{ROOT}/cancel":
            return [
                encode(f"{ROOT}/done", request.address, request.id, 1),
                encode(f"{ROOT}/fail", EDIT, request.id, "cancelled", "stopped on request", 2),
            ]
        return []

    def draw(progress):
        raise ZeroDivisionError

    client, peer = connect(answer)
    with pytest.raises(ZeroDivisionError):
        client.edit("/in.wav", "a violin", on_progress=draw)
    assert len(peer.asked("cancel")) == 1


def test_a_job_that_was_cancelled_before_the_server_heard_of_it_never_begins(connect):
    def answer(request):
        if request.address == f"{ROOT}/cancel":
            return [encode(f"{ROOT}/done", request.address, request.id, 0)]
        if request.address == f"{ROOT}/job/query":
            return [
                encode(f"{ROOT}/fail", request.address, request.id, "unknown_job", "no such job")
            ]
        return []  # every /edit is lost

    client, peer = connect(answer)
    job = client.submit("/in.wav", "a violin")
    job.cancel()
    with pytest.raises(Refused, match="cancelled"):
        job.wait()
    said = [request.address for request in peer.requests]
    assert EDIT not in said[said.index(f"{ROOT}/cancel") :]


def test_a_server_that_forgot_the_password_is_told_again(connect):
    trusted = []

    def answer(request):
        if request.address == f"{ROOT}/auth":
            trusted.append(request.values["password"])
            return [encode(f"{ROOT}/done", request.address, 0)]
        if request.address == f"{ROOT}/version" and len(trusted) < 2:
            return [encode(f"{ROOT}/fail", request.address, 0, "auth", "send the password first")]
        return [VERSION]

    client, _ = connect(answer, password="secret")
    assert client.version()["name"] == "retimbre"
    assert trusted == ["secret", "secret"]


def test_what_the_password_does_not_open_is_refused_and_not_asked_for_ever(connect):
    def answer(request):
        if request.address == f"{ROOT}/auth":
            return [encode(f"{ROOT}/done", request.address, 0)]
        return [
            encode(f"{ROOT}/fail", request.address, 0, "auth", "from the server's own machine only")
        ]

    client, _ = connect(answer, password="secret")
    with pytest.raises(Refused, match="own machine"):
        client.ask("quit", reply="done")


def test_the_answer_to_an_earlier_question_is_not_taken_for_this_one(connect):
    def answer(request):
        key = request.values["key"]
        return [encode(f"{ROOT}/get.reply", "preset", "late"), encode(f"{ROOT}/get.reply", key, 7)]

    client, _ = connect(answer)
    assert client.get("seed") == 7


def test_a_request_that_the_protocol_does_not_have_fails_at_once(connect):
    client, peer = connect(lambda request: [])
    with pytest.raises(Refused, match="bad_args: .*did you mean strength"):
        client.submit("/in.wav", "a violin", strenth=1.0)
    assert not peer.requests


def test_closing_ends_what_still_waits(connect):
    client, _ = connect(lambda request: [ack(request.id)])
    job = client.submit("/in.wav", "a violin")
    client.close()
    assert job.is_over
    with pytest.raises(ClientError, match="closed"):
        client.status()


def test_the_client_may_not_wait_for_itself(connect):
    caught = []

    def on_log(level, text):
        try:
            client.status()
        except RuntimeError as error:
            caught.append(error)

    client, _ = connect(lambda request: [encode(f"{ROOT}/log", 1, "x"), VERSION], on_log=on_log)
    client.version()
    assert "wait for itself" in str(caught[0])


def test_closing_wakes_other_threads_that_wait(connect):
    client, peer = connect(lambda request: [ack(request.id)] if request.address == EDIT else [])
    ends = []

    def wait(method, *args):
        with pytest.raises(NoServer) as error:
            method(*args)
        ends.append(error.value.code)

    threads = [
        threading.Thread(target=wait, args=args)
        for args in (
            (client.status,),
            (client.edit, "/in.wav", "a violin"),
            (client.read, "/takes/0.wav"),
        )
    ]
    for thread in threads:
        thread.start()
    while not all(peer.asked(name) for name in ("status", "edit", "audio/get")):
        time.sleep(0.01)
    client.close()
    for thread in threads:
        thread.join()
    assert ends == ["not_ready"] * 3


def test_a_mistake_in_a_callback_is_logged_and_costs_nothing_else(connect, caplog):
    def on_log(level, text):
        raise ZeroDivisionError

    client, _ = connect(lambda request: [encode(f"{ROOT}/log", 1, "x"), VERSION], on_log=on_log)
    assert client.version() == client.version()
    assert "a callback failed" in caplog.text
