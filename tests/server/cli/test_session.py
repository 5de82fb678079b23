"""Which server a command talks to."""

import socket
import threading

from osc_protocol import ROOT, decode_packet, encode
from server.cli.session import find
from server.config import ClientConfig
from server.paths import ServerAddress, write_port_file


def test_a_server_that_is_slow_to_answer_is_not_taken_for_dead(tmp_path):
    config = ClientConfig(data_dir=tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer_the_fourth_ping():  # repeats come after 0.25, 0.75 and 1.75 s
            for _ in range(4):
                packet, peer = server.recvfrom(65_536)
            [ping] = decode_packet(packet)
            server.sendto(encode(f"{ROOT}/pong", *ping.values["echo"]), peer)

        thread = threading.Thread(target=answer_the_fourth_ping)
        thread.start()
        port = server.getsockname()[1]
        write_port_file(config.paths().port_file, ServerAddress("127.0.0.1", port, 0, 0))
        assert find(config) == ("127.0.0.1", port)
        thread.join()


def test_where_nobody_listens_the_answer_comes_at_once(tmp_path):
    config = ClientConfig(data_dir=tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    write_port_file(config.paths().port_file, ServerAddress("127.0.0.1", port, 0, 0))
    assert find(config) is None
