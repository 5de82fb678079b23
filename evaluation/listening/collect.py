"""How are answers collected? A small server shows the test and writes a CSV file per listener.

For listeners elsewhere put `test/` on any web server: without this server behind it, the page
offers the answers as a file to download. Every field that a browser sends is checked before it is
written.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

COLUMNS = ("test", "listener", "trial", "kind", "question", "answer", "seconds")
MAX_BYTES = 1 << 20
HOST = "127.0.0.1"


def application(folder: Path) -> web.Application:
    """The test in `folder`: GET serves test/ alone, POST /results writes results/LISTENER.csv."""
    key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
    served = web.Application(client_max_size=MAX_BYTES, middlewares=[_own_pages_only])

    async def index(_: web.Request) -> web.FileResponse:
        return web.FileResponse(folder / "test" / "index.html")

    async def results(request: web.Request) -> web.Response:
        try:
            path = write_answers(folder / "results", key, json.loads(await request.text()))
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"written": path.name})

    served.router.add_get("/", index)
    served.router.add_post("/results", results)
    served.router.add_static("/", folder / "test")
    return served


def write_answers(folder: Path, key: Mapping[str, Any], sent: Any) -> Path:
    """One new CSV file. ValueError says what is wrong with what was sent."""
    listener, rows = (
        (sent.get("listener"), sent.get("rows")) if isinstance(sent, dict) else (None, None)
    )
    if not isinstance(listener, str) or not listener.strip() or not isinstance(rows, list):
        raise ValueError("expected {listener: a name, rows: [answers]}")
    trials = {trial["id"] for trial in key["trials"]}
    answers = [_check_answer(row, key["test"], trials) for row in rows]
    folder.mkdir(exist_ok=True)
    stem = re.sub(r"[^\w-]+", "_", listener.strip())[:40]
    for number in range(1, 10_000):
        try:
            with open(folder / f"{stem}-{number}.csv", "x", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, COLUMNS)
                writer.writeheader()
                writer.writerows(answers)
                return Path(stream.name)
        except FileExistsError:
            continue
    raise ValueError(f"10 000 files of {listener} are there already")


def _check_answer(row: Any, test: str, trials: set[str]) -> dict[str, str]:
    if not isinstance(row, dict) or set(row) != set(COLUMNS):
        raise ValueError(f"an answer has the fields {', '.join(COLUMNS)}")
    if row["test"] != test or row["trial"] not in trials:
        raise ValueError(
            f"an answer to another test ({row['test']}) or trial ({row['trial']}); reload the page"
        )
    return {column: str(row[column])[:200] for column in COLUMNS}


@web.middleware
async def _own_pages_only(request: web.Request, handler: Any) -> web.StreamResponse:
    """Another site's page in the listener's browser can neither read nor write here."""
    host = request.host.rpartition(":")[0] or request.host
    origin = request.headers.get("Origin")
    if host not in (HOST, "localhost") or (origin and origin != f"http://{request.host}"):
        raise web.HTTPForbidden(text="this server answers its own pages on this machine only")
    if request.method == "POST" and request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="expected application/json")
    return await handler(request)
