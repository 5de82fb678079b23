"""Questions to a peer that loses answers, forgets passwords, or says what nobody knows."""

import socket
import time

import pytest
from retimbre_client import Client, NoServer, Refused

from osc_protocol import ROOT, encode
from tests.clients.python.peer import VERSION


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
