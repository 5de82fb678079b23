"""No web page on the internet, and no machine without the password, reaches the server."""

import asyncio
import base64
import socket

import aiohttp
import pytest

from server.app import Server
from server.config import ServeConfig
from server.http.security import split_host
from tests.server.clients import executor
from tests.server.http.conftest import free_port

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("localhost:11022", ("localhost", 11022)),
        ("LOCALHOST.:1", ("localhost", 1)),
        ("127.0.0.1", ("127.0.0.1", 80)),
        ("[::1]:11022", ("::1", 11022)),
        ("[::1]", ("::1", 80)),
    ],
)
def test_host_headers_are_read(text, parts):
    assert split_host(text) == parts


@pytest.mark.parametrize("text", ["[::1", "[::1]x", "a:b", "a:1:2"])
def test_host_headers_that_are_none(text):
    with pytest.raises(ValueError):
        split_host(text)


async def test_own_names_are_taken(server, http):
    for host in ("localhost", "127.0.0.1", "[::1]", "LOCALHOST", "127.0.0.2"):
        async with http.get("/page/", headers={"Host": f"{host}:{server.http_port}"}) as response:
            assert response.status == 200, host


async def test_a_name_that_was_made_to_point_here_is_refused(server, http):
    for host in (
        "evil.example:{port}",
        "evil.example",
        "localhost",
        "127.0.0.1:1",
        "localhost.evil:{port}",
        "127.0.0.1.evil.example:{port}",
        "10.0.0.1:{port}",
        "[::1",
        "",
    ):
        headers = {"Host": host.format(port=server.http_port)}
        async with http.post("/retimbre/ping", json={"echo": 1}, headers=headers) as response:
            assert response.status == 403, host
            assert (await response.json())["replies"][0]["code"] == "auth"


async def test_the_pages_own_origin_is_taken(server, http):
    origin = f"http://127.0.0.1:{server.http_port}"
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    async with http.post("/retimbre/ping", json={"echo": 1}, headers=headers) as response:
        assert response.status == 200
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "nonsense"},
    ],
)
async def test_other_sites_are_refused(http, headers):
    for method, path in (
        ("POST", "/retimbre/ping"),
        ("POST", "/retimbre/audio/upload"),
        ("GET", "/retimbre/events"),
        ("GET", "/retimbre/audio/file?path=x.wav"),
        ("GET", "/page/index.html"),
        ("GET", "/"),
        ("GET", "/openapi.json"),
        ("GET", "/retimbre/edit?TYPE"),
        ("GET", "/?HOST_INFO"),
    ):
        extra = JSON if method == "POST" else {}
        async with http.request(method, path, headers={**headers, **extra}) as response:
            assert response.status == 403, path


async def test_a_link_on_another_site_may_lead_to_the_page_and_nowhere_else(http):
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
        "Accept": "text/html",
    }
    for path, status in (
        ("/", 200),
        ("/page/", 200),
        ("/retimbre/events", 403),
        ("/openapi.json", 403),
    ):
        async with http.get(path, headers=link) as response:
            assert response.status == status, path
    async with http.get("/page/", headers={**link, "Sec-Fetch-Dest": "iframe"}) as response:
        assert response.status == 403


async def test_what_a_form_can_send_is_refused(http):
    for kind in (
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "",
    ):
        for path in ("/retimbre/ping", "/retimbre/audio/upload"):
            async with http.post(
                path,
                data=b'{"echo": 1}',
                headers={"Content-Type": kind} if kind else {},
                skip_auto_headers=["Content-Type"],
            ) as response:
                assert response.status == 415, kind


async def test_nobody_answers_a_preflight(http):
    headers = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Private-Network": "true",
    }
    async with http.options("/retimbre/ping", headers=headers) as response:
        assert response.status == 403
        assert not [name for name in response.headers if name.startswith("Access-Control")]


async def test_a_huge_body_is_refused_before_it_is_read(http):
    async with http.post("/retimbre/ping", data=b" " * (2**21 + 1), headers=JSON) as response:
        assert (response.status, (await response.json())["replies"][0]["code"]) == (
            413,
            "too_large",
        )


async def test_connections_are_limited(server, http, monkeypatch):
    monkeypatch.setattr("server.http.app.MAX_CONNECTIONS", 3)
    writers = []
    for _ in range(3):
        writers.append((await asyncio.open_connection("127.0.0.1", server.http_port))[1])
    while len(server.http._runner.server.connections) < 3:
        await asyncio.sleep(0.01)
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get("/page/")
    for writer in writers:
        writer.close()
    while server.http._runner.server.connections:
        await asyncio.sleep(0.01)
    async with http.get("/page/") as response:
        assert response.status == 200


@pytest.fixture(scope="module")
def own_address():
    """An address of this machine that other machines would connect to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; only asks which address would be used
            address = probe.getsockname()[0]
        except OSError:
            address = "127.0.0.1"
    if address.startswith("127."):
        pytest.skip("this machine has no address but its loopback")
    return address


@pytest.fixture
async def open_server(tmp_path, own_address):
    """A server that listens beyond its own machine."""
    secret = tmp_path / "password"
    secret.write_text("sésame\n", encoding="utf-8")
    config = ServeConfig(
        data_dir=str(tmp_path / "data"),
        port=0,
        http_port=free_port(),
        host="0.0.0.0",
        password_file=str(secret),
    )
    async with Server(config, executor()) as server:
        server.services.authenticator._delay_seconds = 0
        yield server


@pytest.fixture
async def remote(open_server, own_address):
    async with aiohttp.ClientSession(f"http://{own_address}:{open_server.http_port}") as session:
        yield session


def basic(password):
    return {"Authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


def bearer(password):
    return {"Authorization": f"Bearer {password}"}


async def test_from_elsewhere_everything_needs_the_password(remote):
    for path in (
        "/page/",
        "/openapi.json",
        "/?HOST_INFO",
        "/retimbre/events",
        "/retimbre/audio/file?path=a",
    ):
        async with remote.get(path) as response:
            assert response.status == 401, path
            assert {"Bearer", "Basic"} <= set(response.headers["WWW-Authenticate"].split())


async def test_the_password_lets_in_and_nothing_else(remote):
    for header, status in (
        (basic("sésame"), 200),
        (bearer("sésame"), 200),
        (basic("x"), 401),
        (bearer("x"), 401),
        (bearer("sésame"), 200),
        ({"Authorization": "Basic ??"}, 401),
        ({}, 401),
    ):
        async with remote.post("/retimbre/ping", json={"echo": 1}, headers=header) as response:
            assert response.status == status, header
            assert status == 200 or (await response.json())["replies"][0]["code"] == "auth"


async def test_four_wrong_passwords_lock_the_machine_out(remote):
    for _ in range(4):
        async with remote.get("/page/", headers=bearer("wrong")):
            pass
    async with remote.get("/page/", headers=bearer("sésame")) as response:
        assert response.status == 401
        assert "may try again" in (await response.json())["replies"][0]["message"]


async def test_from_elsewhere_the_server_cannot_be_stopped(remote):
    async with remote.post("/retimbre/quit", json={}, headers=bearer("sésame")) as response:
        assert response.status == 401


async def test_its_own_machine_needs_no_password(open_server):
    url = f"http://127.0.0.1:{open_server.http_port}/page/"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
