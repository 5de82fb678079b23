"""A running server with its HTTP twin, and browsers' and programs' ways to it."""

import contextlib
import dataclasses
import socket

import aiohttp
import pytest

from server.app import Server
from tests.server.clients import executor


def free_port():
    """A TCP port that was free a moment ago; the server takes the next one if it no longer is."""
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
async def server(config):
    async with Server(dataclasses.replace(config, http_port=free_port()), executor()) as server:
        yield server


@pytest.fixture
async def http(server):
    """aiohttp's client, with the server as its base."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.http_port}") as session:
        yield session
