"""The lossy relay, with real sockets on both sides."""

import contextlib
import socket
import time

import pytest

from benchmarks.tools.relay import MAX_CLIENTS, LossyRelay, Weather


def udp_socket(port=0):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(5)
    if port:
        made.connect(("127.0.0.1", port))
    else:
        made.bind(("127.0.0.1", 0))
    return contextlib.closing(made)


@pytest.fixture
def server():
    with udp_socket() as server:
        yield server


def send_and_receive(relay, server, count):
    """Which of `count` datagrams, one after the other, reach the server."""
    arrived = []
    server.settimeout(0.02)
    with udp_socket(relay.port) as client:
        for index in range(count):
            before = relay.passed + relay.lost
            client.send(b"%d" % index)
            while relay.passed + relay.lost == before:
                time.sleep(0.001)  # the dice are thrown in the order of sending
            with contextlib.suppress(TimeoutError):
                arrived.append(int(server.recv(100)))
    return arrived


def test_what_goes_in_comes_out_both_ways(server):
    with LossyRelay(server.getsockname()[1], loss=0) as relay, udp_socket(relay.port) as client:
        client.send(b"to the server")
        packet, sender = server.recvfrom(100)
        server.sendto(b"to the client", sender)
        assert (packet, client.recv(100)) == (b"to the server", b"to the client")
    assert (relay.passed, relay.lost) == (2, 0)


def test_two_clients_are_two_to_the_server_and_hear_their_own_answers(server):
    with (
        LossyRelay(server.getsockname()[1], loss=0) as relay,
        udp_socket(relay.port) as one,
        udp_socket(relay.port) as two,
    ):
        one.send(b"one")
        two.send(b"two")
        for _ in range(2):
            server.sendto(*server.recvfrom(100))
        assert (one.recv(100), two.recv(100)) == (b"one", b"two")


def test_it_loses_the_fraction_that_it_was_told(server):
    with LossyRelay(server.getsockname()[1], loss=0.25, seed=1) as relay:
        send_and_receive(relay, server, 200)
    assert relay.passed + relay.lost == 200
    assert 30 <= relay.lost <= 70  # 50 expected, a deviation of 6


def test_the_same_seed_loses_the_same_datagrams(server):
    runs = []
    for _ in range(2):
        with LossyRelay(server.getsockname()[1], loss=0.5, seed=7) as relay:
            runs.append(send_and_receive(relay, server, 20))
    assert runs[0] == runs[1] and 0 < len(runs[0]) < 20


def test_datagrams_come_twice_late_and_out_of_order(server):
    weather = Weather(duplicate=0.3, reorder=0.3, delay_seconds=0.01, jitter_seconds=0.02)
    server.settimeout(0.5)
    with (
        LossyRelay(server.getsockname()[1], seed=2, weather=weather) as relay,
        udp_socket(relay.port) as client,
    ):
        began = time.monotonic()
        for index in range(100):
            client.send(b"%d" % index)
        arrived = [int(server.recv(100))]
        assert time.monotonic() - began >= 0.01
        with contextlib.suppress(TimeoutError):
            while True:
                arrived.append(int(server.recv(100)))
    assert set(arrived) == set(range(100)) and len(arrived) == 100 + relay.doubled > 110
    assert arrived != sorted(arrived)


def test_a_server_that_is_not_there_ends_nothing(server):
    port = server.getsockname()[1]
    server.close()
    with LossyRelay(port, loss=0) as relay, udp_socket(relay.port) as client:
        for _ in range(3):
            client.send(b"anybody?")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(100)
        assert relay._thread.is_alive()


def test_clients_beyond_the_limit_are_not_served(server):
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(LossyRelay(server.getsockname()[1], loss=0))
        for index in range(MAX_CLIENTS + 1):
            stack.enter_context(udp_socket(relay.port)).send(b"%d" % index)
        for index in range(MAX_CLIENTS):
            assert int(server.recv(100)) == index
        server.settimeout(0.3)
        with pytest.raises(TimeoutError):
            server.recv(100)
