"""Where the HTTP twin listens."""

import contextlib
import dataclasses
import socket

import aiohttp
import pytest

from server.app import Server
from server.cli.serve import _listening
from server.paths import read_port_file
from tests.server.clients import executor


@contextlib.contextmanager
def occupy(*ports):
    with contextlib.ExitStack() as stack:
        for port in ports:
            listener = stack.enter_context(contextlib.closing(socket.socket()))
            with contextlib.suppress(OSError):  # somebody else has it, which is as good
                listener.bind(("127.0.0.1", port))
                listener.listen()
        yield


async def test_its_port_is_in_the_port_file_and_is_said(server):
    assert read_port_file(server.paths.port_file).http_port == server.http_port > 0
    assert f"http://127.0.0.1:{server.http_port}/" in _listening(server)


async def test_a_taken_port_is_passed_over(config):
    with occupy(config.http_port):
        async with Server(config, executor()) as server:
            assert config.http_port < server.http_port <= config.http_port + 10
            assert f"({config.http_port} is taken)" in _listening(server)
            url = f"http://127.0.0.1:{server.http_port}/?HOST_INFO"
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                assert (await response.json())["OSC_PORT"] == server.port


async def test_without_a_free_port_the_server_serves_osc(config):
    with occupy(*range(config.http_port, config.http_port + 11)):
        async with Server(config, executor()) as server:
            assert (server.http_port, server.http) == (0, None)
            assert server.port
            assert "no HTTP" in _listening(server)


async def test_0_turns_it_off(config):
    async with Server(dataclasses.replace(config, http_port=0), executor()) as server:
        assert (server.http_port, server.http) == (0, None)
        assert "--http-port is 0" in _listening(server)


@pytest.mark.parametrize("host", ["localhost", "::1"])
async def test_it_listens_where_osc_does(config, host):
    with contextlib.closing(
        socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    ) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            pytest.skip(f"this machine has no {host}")
    async with Server(dataclasses.replace(config, host=host), executor()) as server:
        address = f"[{host}]" if ":" in host else host
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{address}:{server.http_port}/?HOST_INFO") as response,
        ):
            assert response.status == 200
