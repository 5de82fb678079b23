"""Zeroconf on the loopback interface, as a second zeroconf and a foreign OSCQuery client see it."""

import asyncio
import dataclasses
import sys

import pytest
from pythonoscquery.osc_query_client import OSCQueryClient
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from server.app import Server
from server.wire import discovery
from tests.server.clients import executor
from tests.server.http.conftest import free_port


@pytest.fixture
def config(config):
    return dataclasses.replace(config, http_port=free_port(), announce="always")


@pytest.fixture
async def heard():
    """await heard(kind) -> the service's info; heard.gone: names that said goodbye."""
    zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"])
    found, gone, news = {}, set(), asyncio.Event()

    def on_change(zeroconf, service_type, name, state_change):
        (
            gone.add
            if state_change.name == "Removed"
            else lambda name: found.setdefault(service_type, name)
        )(name)
        news.set()

    browser = AsyncServiceBrowser(
        zeroconf.zeroconf, [discovery.OSCQUERY, discovery.OSC], handlers=[on_change]
    )

    async def wait(condition):
        while not condition():
            news.clear()
            await asyncio.wait_for(news.wait(), 20)

    async def listen(kind):
        await wait(lambda: kind in found)
        info = AsyncServiceInfo(kind, found[kind])
        assert await info.async_request(zeroconf.zeroconf, 5000)
        return info

    listen.gone = lambda name: wait(lambda: name in gone)
    yield listen
    await browser.async_cancel()
    await zeroconf.async_close()


async def test_the_server_is_found_asked_and_gone(heard, config):
    async with Server(config, executor()) as server:
        osc, query = await heard(discovery.OSC), await heard(discovery.OSCQUERY)
        assert (osc.port, query.port) == (server.port, server.http_port)
        assert query.parsed_addresses() == ["127.0.0.1"]
        await server.ready.wait()
        await asyncio.to_thread(ask_as_python_oscquery_does, query, server)
    await heard.gone(query.name)


def ask_as_python_oscquery_does(service, server):
    """It wants a value of every writable node, unlike the proposal, so it reads no verb."""
    client = OSCQueryClient(service)
    info = client.get_host_info()
    assert (info.name, info.osc_ip, info.osc_port, info.osc_transport) == (
        "retimbre",
        "127.0.0.1",
        server.port,
        "UDP",
    )
    assert info.extensions["LISTEN"] and info.extensions["OVERLOADS"]
    state = client.query_node("/retimbre/state")
    assert (state.full_path, state.value, state.access.name) == (
        "/retimbre/state",
        ["ready"],
        "READONLY_VALUE",
    )
    assert client.query_node("/nonsense") is None


async def test_two_servers_of_one_machine_have_names_of_their_own(config, tmp_path):
    other = dataclasses.replace(config, data_dir=str(tmp_path / "other"), http_port=free_port())
    names = set()
    async with Server(config, executor()) as first:
        await all_announced(first)
        async with Server(other, executor()) as second:
            await all_announced(second)
            names = {*first.services.announcement.services, *second.services.announcement.services}
    assert len(names) == 4


async def all_announced(server):
    while len(server.services.announcement.services) < 2:
        await asyncio.sleep(0.01)


async def test_without_the_package_the_server_runs_all_the_same(config, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    async with Server(config, executor()) as server:
        while "retimbre[discovery]" not in caplog.text:
            await asyncio.sleep(0.01)
        assert server.http_port


@pytest.mark.parametrize(
    ("choice", "host", "is_wanted"),
    [
        ("auto", "127.0.0.1", False),
        ("auto", "localhost", False),
        ("auto", "0.0.0.0", True),
        ("always", "127.0.0.1", True),
        ("never", "0.0.0.0", False),
    ],
)
def test_who_is_announced(choice, host, is_wanted):
    assert discovery.is_wanted(choice, host) is is_wanted


def test_what_only_this_machine_can_reach_is_announced_on_its_loopback_only():
    assert discovery._interfaces("127.0.0.1") == discovery._interfaces("localhost") == ["127.0.0.1"]
    assert "127.0.0.1" not in discovery._interfaces("0.0.0.0") or discovery._interfaces(
        "0.0.0.0"
    ) == ["127.0.0.1"]
