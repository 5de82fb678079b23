"""The reference page, from the table: `python -m osc_protocol.reference > docs/osc.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from osc_protocol.addresses import (
    DEFAULT_PORT,
    EDIT_KEYS,
    ERROR_CODES,
    HTTP_PORT,
    PROTOCOL_VERSION,
    REPLIES_BY_SECTION,
    REPLY_PORT,
    REQUESTS_BY_SECTION,
)
from osc_protocol.arguments import expected
from osc_protocol.audio_transfer import PATIENCE_SECONDS, UDP_CHUNK_BYTES, WINDOW
from osc_protocol.messages import MAX_DATAGRAM_BYTES
from osc_protocol.rows import REQUIRED, ROOT, Address, Arg, Reply
from osc_protocol.wire import MAX_ATOMS, MAX_BUNDLE_DEPTH, MAX_MESSAGES

INTRODUCTION = f"""\
# The OSC protocol, version {PROTOCOL_VERSION}

Generated from `osc_protocol/addresses.py` by `python -m osc_protocol.reference > docs/osc.md`; edit it there.

```
you send      /retimbre/edit 7 /music/loop.wav "turn this into a violin"
server sends  /retimbre/ack 7 j-4f2a 0 2.5
              /retimbre/progress 7 0.4 generating 1.5 0
              /retimbre/result 7 0 violin /takes/j-4f2a/violin.wav 48000 2 240000 0.0 0.0
              /retimbre/done /retimbre/edit 7 1 1 1234 /takes/j-4f2a/manifest.json 2.4
you send      /retimbre/got 7 1
```

## Rules

- **Ports.** UDP and TCP on {DEFAULT_PORT}, HTTP on {HTTP_PORT}; if taken, the next free ones (see the server's port
  file). Replies go where a message came from, or to the port registered with `{ROOT}/notify`; {REPLY_PORT} is the
  custom for that. Over TCP they come back on the connection.
- **Types.** The server sends only `i f s`, and `b` for audio. It takes `i h f d T F` and numbers written as text
  wherever a number is wanted; 3.0 is an integer; a flag is 1 or 0. Numbers where text is wanted become text (808.0 is
  `808`). Text that is not UTF-8 is taken with replacement characters and a warning. Other type tags are refused.
- **Ids.** The first argument about a job is yours, integer or string, and comes back as it came (7.0 comes back as
  7). The same id again never starts a second job: it is answered with the job's state, after its end with its end.
- **Endings.** A job ends with exactly one `{ROOT}/done` or `{ROOT}/fail`. Over UDP it is repeated with the same serial
  until `{ROOT}/got`. Something about a living job comes at least every 2 s; silence for {PATIENCE_SECONDS:g} s means
  the server is gone.
- **Errors.** Everything is answered: what is not understood, with `{ROOT}/fail` and a code from the last table. A key
  that is not known changes nothing and brings a warning as `{ROOT}/log`. Of a key sent twice the last one counts.
- **Sizes.** What the server sends over UDP fits {MAX_DATAGRAM_BYTES} bytes, audio chunks apart. Strings have limits
  in bytes, stated below; names and ids have 64. Text for people is cut to its limit with an ellipsis (marked *cut*);
  names and paths never are: what does not fit is refused when it is first met. A packet may carry {MAX_MESSAGES}
  messages in bundles nested {MAX_BUNDLE_DEPTH} deep, a message {MAX_ATOMS} arguments. Time tags are ignored.
- **TCP.** int32 lengths (OSC 1.0) or SLIP (OSC 1.1, one or two ENDs); the first byte tells, answers use the same.
- **Audio.** By path where both sides see the file; otherwise opened, sent in acknowledged chunks ({UDP_CHUNK_BYTES}
  bytes over UDP, a window of {WINDOW}), closed with a checksum. Chunks may come in any order and more than once.

In the tables `…` marks an argument that takes all that is left, `=` the value of one that may be left out.
"""


def page() -> str:
    """The whole page, as Markdown."""
    parts = [INTRODUCTION, "## What you send\n"]
    parts += [_section(title, rows) for title, rows in REQUESTS_BY_SECTION.items()]
    parts += ["## Keys\n", _key_table(EDIT_KEYS.values()), "## What the server sends\n"]
    parts += [_section(title, rows) for title, rows in REPLIES_BY_SECTION.items()]
    parts += [
        "## Codes of /fail\n",
        _table(("Code", "Meaning"), ((f"`{c}`", m) for c, m in ERROR_CODES.items())),
    ]
    return "\n".join(parts)


def _section(title: str, rows: Iterable[Address | Reply]) -> str:
    return "\n".join([f"### {title}\n", *(_row(row) for row in rows)])


def _row(row: Address | Reply) -> str:
    lines = [f"#### `{row.path}`\n"] + ([row.help + "\n"] if row.help else []) + _args(row.args)
    if isinstance(row, Address):
        lines += _answers(row)
    return "\n".join(lines)


def _answers(row: Address) -> list[str]:
    lines = []
    lines += _keys(row.keys)
    if row.replies:
        lines += ["Answers: " + ", ".join(f"`{ROOT}/{name}`" for name in row.replies) + ".\n"]
    if row.done:
        lines += [f"Its `{ROOT}/done {row.path} id` goes on with:\n", *_args(row.done)]
    if row.loopback_only:
        lines += ["Taken from the server's own machine only.\n"]
    return lines


def _keys(keys: Mapping[str, Arg]) -> list[str]:
    """An address takes the common keys, or keys of its own, or both."""
    own = [arg for name, arg in keys.items() if EDIT_KEYS.get(name) is not arg]
    absent = [f"`{name}`" for name in EDIT_KEYS if name not in keys]
    lines = []
    if len(own) < len(keys):
        but = f" but {', '.join(absent)}" if absent else ""
        lines += [f"Then any of the [keys](#keys){but}, each with its value.\n"]
    if own:
        lines += ["Then any of these keys, each with its value:\n", _key_table(own)]
    return lines


def _args(args: Iterable[Arg]) -> list[str]:
    rows = [(f"`{_name(arg)}`", f"`{arg.type}`", _allowed(arg), arg.unit, arg.help) for arg in args]
    return [_table(("Argument", "Type", "Allowed", "Unit", ""), rows)] if rows else []


def _key_table(keys: Iterable[Arg]) -> str:
    rows = (
        (f"`{arg.name}`", f"`{arg.type}`", _allowed(arg), arg.unit, _default(arg), arg.help)
        for arg in keys
    )
    return _table(("Key", "Type", "Allowed", "Unit", "Default", ""), rows)


def _name(arg: Arg) -> str:
    if arg.rest:
        return f"{arg.name}…"
    return arg.name if arg.default is REQUIRED else f"{arg.name}={arg.default!r}"


def _default(arg: Arg) -> str:
    if arg.default is None:
        return "the preset's, then the model's"
    return f"{arg.default}" if arg.default != "" else "none"


def _allowed(arg: Arg) -> str:
    most = f"at most {arg.rest}, each " if arg.rest and arg.type != "s" else ""
    return most + expected(arg) + (", *cut*" if arg.clip else "")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(heads)] + [tuple(row) for row in rows]
    lines.insert(1, ("---",) * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(page().encode("utf-8"))  # the same bytes on Windows too
