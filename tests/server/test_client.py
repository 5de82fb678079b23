"""The client against a peer that misbehaves on purpose; against the real server see test_cli_end_to_end.py."""

import socket
import threading
import time
import zlib

import pytest

from osc_protocol import ROOT, Request, decode_packet, encode
from server.client import Client, NoServer, Refused

EDIT = f"{ROOT}/edit"


class Peer:
    """A UDP socket and a function from request to the packets that answer it."""

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
                self.requests.append(request)
                for reply in self.answer(request):
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
        client = Client("127.0.0.1", peer.socket.getsockname()[1], **options)
        opened.extend((client, peer))
        return client, peer

    yield connect
    for each in opened:
        each.close()


def ack(id):
    return encode(f"{ROOT}/ack", id, "job", 0, -1.0)


def result(id, index=0):
    return encode(f"{ROOT}/result", id, index, "violin", f"/takes/{index}.wav", 48_000, 2, 480, 0.0, 0.0)


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
    assert [(stem.name, stem.frames, str(stem.path)) for stem in outcome.stems] == [("violin", 480, "/takes/0.wav")]
    assert (outcome.seed, outcome.seconds, seen[0].stage) == (3, 1.5, "generating")
    assert peer.asked("edit")[0].keys == {"seed": 3}


def test_the_end_is_acknowledged_with_its_serial(connect):
    client, peer = connect(lambda request: [result(request.id), done(request.id, serial=9)]
                           if request.address == EDIT else [])
    client.edit("/in.wav", "a violin", job_id=4)
    client.ping(0.2)
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
    client, _ = connect(lambda request: [encode(f"{ROOT}/fail", EDIT, request.id, "no_file", "no such file", 1)])
    with pytest.raises(Refused) as refusal:
        client.edit("/in.wav", "a violin")
    assert refusal.value.code == "no_file"


def test_silence_gives_the_job_up(connect):
    client, peer = connect(lambda request: [ack(request.id)] if len(peer.requests) == 1 else [], silence_seconds=1)
    with pytest.raises(NoServer, match="has said nothing"):
        client.edit("/in.wav", "a violin")


def test_two_jobs_do_not_mix_up_their_stems(connect):
    def answer(request):
        if request.address != EDIT or len(peer.asked("edit")) < 2:
            return []
        ids = [each.id for each in peer.asked("edit")]
        return [result(ids[1], 7), result(ids[0], 3), done(ids[1]), done(ids[0])]

    client, peer = connect(answer)
    first, second = client.submit("/a.wav", "x", job_id="a"), client.submit("/b.wav", "x", job_id="b")
    assert client.wait(first).stems[0].index == 3
    assert client.wait(second).stems[0].index == 7


def test_a_closed_port_is_no_server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Client("127.0.0.1", port) as client:
        assert not client.ping(0.5)
    with pytest.raises(NoServer, match="retimbre serve"):
        Client("127.0.0.1", port, transport="tcp")


def test_a_list_with_a_lost_item_is_asked_for_again(connect):
    def items(request):
        names = ["a", "b"][: len(peer.requests)]
        return [*(encode(f"{ROOT}/model/item", name, "t", 1, "MIT", 0.0) for name in names),
                encode(f"{ROOT}/model/list.end", 2)]

    client, peer = connect(items)
    listed = client.collect("model/list", item="model/item", end="model/list.end")
    assert [each["name"] for each in listed] == ["a", "b"]


def test_log_messages_go_to_the_listener(connect):
    said = []
    client, _ = connect(lambda request: [encode(f"{ROOT}/log", 2, "careful"), encode(f"{ROOT}/pong",
                        request.values["echo"][0])], on_log=lambda level, text: said.append((level, text)))
    assert client.ping()
    assert said == [(2, "careful")]


def test_what_a_newer_server_says_is_left_unread(connect):
    future = b"/retimbre/future\0\0\0\0,\0\0\0"
    client, _ = connect(lambda request: [future, encode(f"{ROOT}/pong", request.values["echo"][0])])
    assert client.ping()


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


def test_only_audio_files_are_uploaded(connect, tmp_path):
    client, _ = connect(lambda request: [])
    with pytest.raises(Refused, match="bad_audio"):
        client.upload(tmp_path / "notes.txt")


def test_a_download_arrives_whole(connect):
    audio = bytes(range(256)) * 30
    pieces = [audio[at:at + 3840] for at in range(0, len(audio), 3840)]

    def answer(request: Request):
        name = request.address.removeprefix(f"{ROOT}/audio/")
        if name == "get":
            return [encode(f"{ROOT}/audio/open", request.id, 0, 0, 0, "wav")]
        if name == "ready":
            return [encode(f"{ROOT}/audio/data", request.id, index, piece) for index, piece in enumerate(pieces)]
        if name == "ack" and request.values["received"] == len(pieces):
            return [encode(f"{ROOT}/audio/close", request.id, len(pieces), f"{zlib.crc32(audio):08x}")]
        return []

    client, _ = connect(answer)
    assert client.download("/takes/0.wav") == audio
