"""A running server with its HTTP twin, and a program's way to it."""

import asyncio
import contextlib
import dataclasses
import json
import socket

import aiohttp
import pytest

from server.app import Server
from tests.server.clients import PATIENCE_SECONDS, executor


def free_port():
    """A TCP port that was free a moment ago; the server takes the next one if it no longer is."""
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def config(config):
    return dataclasses.replace(config, http_port=free_port())


@pytest.fixture
async def server(config):
    async with Server(config, executor()) as server:
        yield server


@pytest.fixture
async def http(server):
    """aiohttp's client, with the server as its base."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.http_port}") as session:
        yield session


@pytest.fixture
def call(http):
    """await call("edit", id=1, ...) -> (status, replies)."""

    async def post(verb, client="me", **body):
        async with http.post(f"/retimbre/{verb}", params={"client": client}, json=body) as response:
            return response.status, (await response.json())["replies"]

    return post


class Events:
    """What one stream of events brought, in order, and a way to wait for more."""

    def __init__(self, response):
        self.response, self.seen, self.numbers = response, [], []

    async def next(self):
        fields = {}
        while True:
            line = (await self.response.content.readline()).decode()
            if not line:
                raise EOFError
            if line == "\n" and "event" in fields:
                self.numbers.append(int(fields["id"]))
                self.seen.append((fields["event"], json.loads(fields["data"])))
                return self.seen[-1]
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value

    async def expect(self, name, **wanted):
        """Read on to an event of that name with those values."""

        async def look():
            while True:
                event, values = await self.next()
                if event == name and wanted.items() <= values.items():
                    return values

        return await asyncio.wait_for(look(), PATIENCE_SECONDS)


@pytest.fixture
async def listen(http):
    """await listen() opens a stream of events."""
    async with contextlib.AsyncExitStack() as stack:

        async def get(client="me", after=None, **query):
            headers = {} if after is None else {"Last-Event-ID": str(after)}
            events = Events(
                await stack.enter_async_context(
                    http.get(
                        "/retimbre/events", params={"client": client, **query}, headers=headers
                    )
                )
            )
            await events.expect("state")
            return events

        yield get
