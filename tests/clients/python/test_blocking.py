"""Threads that wait, callbacks that go wrong, and a client that is closed meanwhile."""

import threading
import time

import pytest
from retimbre_client import ClientError, NoServer

from osc_protocol import ROOT, encode
from tests.clients.python.peer import EDIT, VERSION, ack_reply


def test_closing_ends_what_still_waits(connect):
    client, _ = connect(lambda request: [ack_reply(request.id)])
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
    client, peer = connect(
        lambda request: [ack_reply(request.id)] if request.address == EDIT else []
    )
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
    while not all(peer.requests_of(name) for name in ("status", "edit", "audio/get")):
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
