"""docs/http.md from its template: `python -m server.http.reference > docs/http.md`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import resources

from osc_protocol import ERROR_CODES, HTTP_PORT, REQUIRED, ROOT, Address, Arg
from osc_protocol.addresses import REQUESTS_BY_SECTION
from server.http import app, calls, clients, events, oscquery, websocket
from server.wire.sessions import MAX_WAITING

JOB_EVENTS = (*calls.ALWAYS_EVENTS, "result", "done", "live/playing")

TEMPLATE = "reference.md"  # beside this module; <<name>> stands for what the code knows


def page() -> str:
    """The whole page, as Markdown."""
    template = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    values = _values()
    return re.sub(r"<<(\w+)>>", lambda match: str(values[match[1]]), template)


def _values() -> dict[str, str | int]:
    return {
        "port": HTTP_PORT,
        "root": ROOT,
        "max_events": events.MAX_EVENTS,
        "max_bytes": events.MAX_BYTES >> 20,
        "body": calls.MAX_BODY_BYTES >> 20,
        "connections": app.MAX_CONNECTIONS,
        "clients": clients.MAX_CLIENTS,
        "streams": events.MAX_STREAMS,
        "waiting": MAX_WAITING,
        "keepalive": f"{app.KEEPALIVE_SECONDS:g}",
        "keep": f"{clients.KEEP_SECONDS / 3600:g}",
        "unread": websocket.MAX_UNREAD_BYTES >> 20,
        "attributes": _join(oscquery.ATTRIBUTES),
        "not_supported": _join(oscquery.NOT_SUPPORTED),
        "verbs": _verbs(),
        "statuses": _statuses(),
    }


def _join(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _verbs() -> str:
    lines = []
    for title, rows in REQUESTS_BY_SECTION.items():
        lines += [
            f"### {title}\n",
            "| POST | body | answer |",
            "|---|---|---|",
            *map(_verb, rows),
            "",
        ]
    return "\n".join(lines).rstrip()


def _verb(row: Address) -> str:
    later = JOB_EVENTS if "ack" in row.replies else calls.ALWAYS_EVENTS
    answers = [f"*{name}*" if name in later else name for name in row.replies]
    keys = ["keys"] if row.keys else []
    return (
        f"| `{row.path}` | {', '.join([*map(_argument, row.args), *keys])} | {', '.join(answers)} |"
    )


def _argument(arg: Arg) -> str:
    shown = f"{arg.name}…" if arg.rest else arg.name
    return (
        f"**{shown}**" if arg.default is REQUIRED and not (arg.rest and arg.type != "s") else shown
    )


def _statuses() -> str:
    rows = [
        f"| {status} | {_join(code for code in ERROR_CODES if calls.STATUS[code] == status)} |"
        for status in sorted(set(calls.STATUS.values()))
    ]
    return "\n".join(
        [
            "| status | codes |",
            "|---|---|",
            *rows,
            "| 415 | the content type of a POST is another |",
        ]
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(page().encode("utf-8"))  # the same bytes on Windows too
