"""Audio up and down, and the page's files."""

import asyncio
import os
import wave

import pytest

from server.paths import PAGE

WAV = {"Content-Type": "audio/wav"}


async def upload(http, data, status=200, **query):
    async with http.post(
        "/retimbre/audio/upload", params=query, data=data, headers=WAV
    ) as response:
        body = await response.json()
        assert response.status == status, body
        return body


async def download(http, path, status=200, **headers):
    async with http.get("/retimbre/audio/file", params={"path": path}, headers=headers) as response:
        assert response.status == status, await response.text()
        return await response.read(), response.headers


async def test_what_is_uploaded_edited_and_downloaded_is_the_same_to_the_sample(
    http, call, listen, audio
):
    events = await listen()
    sent = await upload(http, audio.read_bytes(), client="me")
    assert sent["bytes"] == audio.stat().st_size
    await call("edit", id=1, audio=sent["handle"], text="copy")
    result = await events.expect("result", id=1)
    done = await events.expect("done", id=1)
    stem, headers = await download(http, result["path"])
    assert stem == audio.read_bytes()
    assert headers["Content-Type"] == "audio/wav"
    assert (await download(http, done["manifest"]))[1]["Content-Type"] == "application/json"


async def test_large_files_are_streamed_both_ways(http, server):
    data = os.urandom(5 * 2**20 + 17)

    async def pieces():
        for start in range(0, len(data), 10**5):
            yield data[start : start + 10**5]

    handle = (await upload(http, pieces()))["handle"]
    assert (server.paths.spool / handle).read_bytes() == data
    assert (await download(http, handle))[0] == data


async def test_raw_samples_get_a_header(http, server):
    handle = (await upload(http, b"\1\0" * 2 * 1000, format="s16le", rate="96000", channels="2"))[
        "handle"
    ]
    with wave.open(str(server.paths.spool / handle)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (96000, 2, 1000)


@pytest.mark.parametrize("query", [{"format": "exe"}, {"format": "s16le"}, {"rate": "x"}])
async def test_what_an_upload_says_of_itself_is_checked(http, server, query):
    await upload(http, b"x", 400, **query)
    assert not list(server.services.uploads.folder.iterdir())


async def test_too_many_bytes_are_refused_whether_announced_or_not(http, server):
    server.services.uploads._limit_bytes = 1000

    async def send_without_length():
        yield b"x" * 1001

    for data in (b"x" * 1001, send_without_length()):
        assert (await upload(http, data, 413))["replies"][0]["code"] == "too_large"
    assert not list(server.services.uploads.folder.iterdir())


async def test_an_upload_that_breaks_off_leaves_nothing(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.http_port)
    writer.write(
        f"POST /retimbre/audio/upload HTTP/1.1\r\nHost: localhost:{server.http_port}\r\n"
        "Content-Type: audio/wav\r\nContent-Length: 100000\r\n\r\n".encode()
        + b"x" * 5000
    )
    await writer.drain()
    while not list(server.services.uploads.folder.iterdir()):
        await asyncio.sleep(0.01)
    writer.close()
    while list(server.services.uploads.folder.iterdir()):
        await asyncio.sleep(0.01)
    assert not server.services.uploads._uploads


@pytest.mark.parametrize(
    ("range", "status", "slice_"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-10", 206, slice(-10, None)),
    ],
)
async def test_ranges(http, audio, range, status, slice_):
    data, headers = await download(http, str(audio), status, Range=range)
    assert data == audio.read_bytes()[slice_]
    assert headers["Content-Range"].endswith(f"/{audio.stat().st_size}")


async def test_a_range_beyond_the_end_is_refused(http, audio):
    async with http.get(
        "/retimbre/audio/file", params={"path": str(audio)}, headers={"Range": "bytes=99999999-"}
    ) as response:
        assert response.status == 416


async def test_a_file_that_has_not_changed_is_not_sent_again(http, audio):
    _, headers = await download(http, str(audio))
    await download(http, str(audio), 304, **{"If-None-Match": headers["ETag"]})


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 404),
        ("nothing.wav", 404),
        ("/etc/passwd", 403),
        ("../../../../etc/passwd", 403),
        ("uploads/../../journal.sqlite3", 403),
        ("//host/share", 403),
        ("a\0b", 403),
        ("file:///etc/passwd", 403),
    ],
)
async def test_only_files_under_the_roots_can_be_fetched(http, path, status):
    await download(http, path, status)


async def test_what_is_no_audio_cannot_become_a_page(http, audio):
    page = audio.with_name("evil.html")
    page.write_text("<script>")
    async with http.get("/retimbre/audio/file", params={"path": str(page)}) as response:
        assert response.status == 422
        assert (await response.json())["replies"][0]["code"] == "bad_audio"
    page.write_bytes(audio.read_bytes())  # audio under a misleading name
    _, headers = await download(http, str(page))
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_browsers_are_led_to_the_page(http):
    async with http.get(
        "/", headers={"Accept": "text/html,*/*"}, allow_redirects=False
    ) as response:
        assert (response.status, response.headers["Location"]) == (302, "/page/")


@pytest.fixture
def own_page(tmp_path, monkeypatch):
    """A page of our own, so that this does not depend on what the real one holds."""
    folder = tmp_path / "page"
    (folder / "modules").mkdir(parents=True)
    for name in ("index.html", "modules/a.js", "modules/a.mjs", "style.css", "hidden.py"):
        (folder / name).write_text(name)
    (tmp_path / "outside.html").write_text("secret")
    (folder / "link.html").symlink_to(tmp_path / "outside.html")
    monkeypatch.setattr("server.http.files.PAGE", folder.resolve())
    return folder


async def test_the_pages_files_have_their_types_and_rules(own_page, http):
    kinds = {
        "": "text/html",
        "index.html": "text/html",
        "modules/a.js": "text/javascript",
        "modules/a.mjs": "text/javascript",
        "style.css": "text/css",
    }
    for name, kind in kinds.items():
        async with http.get(f"/page/{name}") as response:
            assert (response.status, response.headers["Content-Type"]) == (
                200,
                f"{kind}; charset=utf-8",
            )
            assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
            assert await response.text() == (name or "index.html")


async def test_nothing_else_is_served(own_page, server):
    for name in (
        "nothing.html",
        "hidden.py",
        "modules",
        "modules/",
        "../outside.html",
        "%2e%2e/outside.html",
        "..%2foutside.html",
        "link.html",
        "%2fetc/passwd",
        "a%00b.js",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.http_port)
        writer.write(
            f"GET /page/{name} HTTP/1.0\r\nHost: localhost:{server.http_port}\r\n\r\n".encode()
        )
        answer = await reader.read()
        writer.close()
        assert answer.startswith((b"HTTP/1.0 404", b"HTTP/1.0 400")) and b"secret" not in answer, (
            name
        )


async def test_the_page_is_there(http):
    assert (PAGE / "index.html").is_file()
    async with http.get("/page/") as response:
        assert response.status == 200
