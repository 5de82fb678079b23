"""A server process that can be killed and started again, and a page that watches itself."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from server.paths import REPOSITORY, Paths, read_port_file

START_SECONDS = 60.0
STOP_SECONDS = 30.0
# what Chromium says itself of a server that is away or refuses
CONNECTION_TROUBLE = "Failed to load resource:"


class Studio:
    """One data folder, one HTTP port, and the server process that lives there now."""

    def __init__(self, folder: Path, command):
        self.data_dir, self._command = folder, command
        self.http_port = _free_port()
        self.origin = f"http://127.0.0.1:{self.http_port}"

    def start(self):
        Paths(self.data_dir).port_file.unlink(missing_ok=True)
        with open(self.data_dir / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command(self.data_dir, self.http_port)],
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def kill(self):
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def stop(self):
        self._process.terminate()
        self._process.wait(STOP_SECONDS)

    def _wait(self):
        ends_at = time.monotonic() + START_SECONDS
        while time.monotonic() < ends_at and self._process.poll() is None:
            if read_port_file(Paths(self.data_dir).port_file):
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.origin}/page/"):
                    return
            time.sleep(0.05)
        raise AssertionError(
            f"the server did not start: {(self.data_dir / 'server.log').read_text()}"
        )


def double(data_dir, http_port):
    return ["-m", "tests.server.serve_double", str(data_dir), str(data_dir), str(http_port)]


def nano(data_dir, http_port):
    return [
        "-m",
        "server",
        "serve",
        "--port=0",
        f"--http-port={http_port}",
        f"--data-dir={data_dir}",
        "--threads=1",
    ]


def _free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Desk:
    """A browser window on the page, with a method for each act of a user.

    It notes what must not happen.
    """

    def __init__(self, page, origin):
        self.page, self.origin = page, origin
        self.requests, self.errors, self.sent = [], [], []
        page.on("request", self._note_request)
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self):
        self.page.goto(f"{self.origin}/page/")
        self.page.wait_for_selector("#server[data-state=ready]")
        self.page.wait_for_selector("#style-list button")
        return self

    def load(self, path, selector=""):
        """Choose a file and wait until it is on the server and drawn."""
        self.page.set_input_files("#file", path)
        self.page.wait_for_function(
            "name => retimbre.panel.source?.name === name && retimbre.lanes.all.length",
            arg=Path(path).name,
        )

    def ask(self, words):
        self.page.fill("#words", words)
        self.page.press("#words", "Enter")

    def wait_for_takes(self, count):
        """Until so many takes are drawn, the newest is audible, and no job is left."""
        self.page.wait_for_function(
            "count => retimbre.lanes.all.length === count + 1 && !retimbre.jobs.active.size"
            " && (!count || retimbre.lanes.audible?.take)",
            arg=count,
        )

    def select_part(self, start, length):
        self.page.fill("#start", str(start))
        self.page.press("#start", "Tab")
        self.page.fill("#length", str(length))
        self.page.press("#length", "Tab")
        self.page.evaluate("document.activeElement.blur()")

    def look(self, expression, argument=None):
        """A value of the page's own: `retimbre` is the app."""
        return self.page.evaluate(expression, argument)

    def bodies(self, verb):
        """What was posted to a verb, in order."""
        return [body for name, body in self.sent if name == verb]

    def _note_request(self, request):
        self.requests.append(request.url)
        path = request.url.removeprefix(self.origin).partition("?")[0]
        if request.method == "POST" and not path.endswith("upload"):
            self.sent.append((path.removeprefix("/retimbre/"), request.post_data_json))

    def _note_console(self, message):
        if message.type == "error":
            self.errors.append(message.text)

    def check(self, may_lose_connection=False):
        """Nothing left this machine, and nothing went wrong."""
        foreign = [
            url for url in self.requests if not url.startswith((self.origin, "blob:", "data:"))
        ]
        assert not foreign
        errors = [
            text
            for text in self.errors
            if not (may_lose_connection and text.startswith(CONNECTION_TROUBLE))
        ]
        assert not errors
