"""What a bug report needs, in one zip: `retimbre doctor --bundle FILE.zip`.

Nothing goes in that its owner would not show: no audio, no password, no words of prompts, no names
of clients, no addresses; home folders become `~`. `--with-texts` puts the words, names and
addresses of the log back in. Each part has a function of its own; one that fails leaves its reason
in its place.
"""

from __future__ import annotations

import contextlib
import getpass
import ipaddress
import json
import platform
import re
import sqlite3
import sys
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import asdict, fields
from importlib import metadata
from pathlib import Path
from typing import Any

from server import logs, status
from server.cli.doctor import checks
from server.cli.errors import CliError
from server.config import ClientConfig, ServeConfig
from server.paths import read_port_file

LOG_LINES = 5000
CRASH_CHARACTERS = 100_000
HTTP_SECONDS = 10.0
OURS = ("server", "engine", "export", "presets", "osc_protocol", "retimbre_client")
FRAME = re.compile(
    r'\s*(File ".*", line \d+|Traceback |Current thread |Thread 0x|Fatal Python error)'
)
ABOUT = """This is what `retimbre doctor --bundle` found, for a bug report.
Look through it before you send it.

{rows}

Not in it: audio, passwords, the server's data. {texts}
"""


def write(path: Path, options: ServeConfig, with_texts: bool = False) -> list[str]:
    """Write the zip and return the names in it. CliError: it is there, or cannot be written."""
    shorten = Shortener()
    parts = {
        name: shorten(_text_of(part, options, with_texts)) for name, (_, part) in PARTS.items()
    }
    parts["about.txt"] = ABOUT.format(
        rows="\n".join(f"{name:<14}{what}" for name, (what, _) in PARTS.items()),
        texts="The log's words, names and addresses are in it, as was asked for."
        if with_texts
        else "Nor words of prompts, names of clients, addresses of machines (--with-texts).",
    )
    try:
        with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as bundle:
            for name, text in sorted(parts.items()):
                bundle.writestr(name, text)
    except FileExistsError as error:
        raise CliError("write_failed", f"{path} is there already; name another file") from error
    except OSError as error:
        raise CliError(
            "write_failed", f"{path} cannot be written: {error}; name another file"
        ) from error
    return sorted(parts)


def _text_of(
    part: Callable[[ServeConfig, bool], Any], options: ServeConfig, with_texts: bool
) -> str:
    try:
        value = part(options, with_texts)
    except Exception as error:
        # The report of a broken installation must not break on what is broken.
        return f"not found: {type(error).__name__}: {error}"
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)


class Shortener:
    """Takes the owner's home and name out of paths."""

    def __init__(self, home: str = "", user: str = "") -> None:
        home = home or str(Path.home())
        with contextlib.suppress(Exception):  # no such user: a container
            user = user or getpass.getuser()
        self._home = (
            [home, home.replace("\\", "\\\\"), home.replace("\\", "/")] if len(home) > 1 else []
        )
        self._user = re.compile(rf"(?<=[/\\]){re.escape(user)}(?![\w.-])") if user else None

    def __call__(self, text: str) -> str:
        for home in self._home:
            text = text.replace(home, "~")
        return self._user.sub("user", text) if self._user else text


# The parts: functions of (options, with_texts)


def _versions(options: ServeConfig, with_texts: bool) -> dict[str, Any]:
    major, minor, patch, commit = status.version()
    return {
        "retimbre": f"{major}.{minor}.{patch}",
        "commit": commit,
        "python": sys.version,
        "system": platform.platform(),
        "machine": platform.machine(),
        "packages": _packages(),
    }


def _packages() -> dict[str, str]:
    """The installed ones of those that we name in any extra."""
    try:
        required = metadata.requires("retimbre") or []
    except metadata.PackageNotFoundError:
        required = []
    names = {match[0] for row in required if (match := re.match(r"[\w.-]+", row))}
    return dict(sorted(checks.versions_of(tuple(names)).items()))


def _options(options: ServeConfig, with_texts: bool) -> dict[str, Any]:
    values = {each.name: getattr(options, each.name) for each in fields(options)}
    values["password_file"] = "(set)" if options.password_file else ""
    values["host"] = _kind_of(options.host)
    return {
        name: {"value": value, "is_default": value == getattr(ServeConfig, name)}
        for name, value in values.items()
    }


def _kind_of(host: str) -> str:
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        return (
            host
            if address.is_loopback or address.is_unspecified
            else f"(an address of IPv{address.version})"
        )
    return host if host == "localhost" else "(a name)"


def _findings(options: ServeConfig, with_texts: bool) -> list[dict[str, str]]:
    findings = [asdict(finding) for finding in checks.examine(options)]
    for each in findings:
        if each["subject"] == "styles" and each["state"] != checks.OK and not with_texts:
            each["text"] = "some files have mistakes"  # which may quote the prompts in them
    return findings


def _status(options: ServeConfig, with_texts: bool) -> dict[str, Any] | str:
    from retimbre_client import Client

    from server.cli.session import find

    config = ClientConfig(data_dir=options.data_dir)
    address = find(config)
    if address is None:
        return "no server runs on this data folder"
    with Client(*address) as client:
        return {"status": client.status(), "version": client.version(), "models": client.models()}


def _metrics(options: ServeConfig, with_texts: bool) -> str:
    address = read_port_file(options.paths().port_file)
    if address is None or not address.http_port:
        return "no server runs on this data folder, or it has no HTTP port"
    with urllib.request.urlopen(
        f"http://127.0.0.1:{address.http_port}/metrics", timeout=HTTP_SECONDS
    ) as response:
        return response.read().decode("utf-8")


def _journal(options: ServeConfig, with_texts: bool) -> dict[str, Any] | str:
    path = options.paths().journal
    if not path.exists():
        return "there is none yet"
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.5)
        ) as db:
            tables = [
                name
                for (name,) in db.execute(
                    "select name from sqlite_master where type = 'table' order by 1"
                )
            ]
            return {
                "version": db.execute("pragma user_version").fetchone()[0],
                "bytes": path.stat().st_size,
                "check": db.execute("pragma quick_check").fetchone()[0],
                "rows": {
                    name: db.execute(f'select count(*) from "{name}"').fetchone()[0]
                    for name in tables
                },
                "states": dict(db.execute("select state, count(*) from jobs group by state")),
                "failures": dict(db.execute("select code, count(*) from ends group by code")),
            }
    except sqlite3.OperationalError as error:
        return (
            f"the running server holds it ({error}); "
            "retimbre_journal_jobs in metrics.txt has its counts"
        )


def _log(options: ServeConfig, with_texts: bool) -> str:
    lines = logs.tail(options.paths().log_lines, LOG_LINES)
    shown = lines if with_texts else [without_private(line) for line in lines]
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in shown)


def _crash(options: ServeConfig, with_texts: bool) -> str:
    try:
        text = logs.crash_file(options.paths().log_lines).read_text(
            encoding="utf-8", errors="replace"
        )
    except FileNotFoundError:
        return ""
    return text[-CRASH_CHARACTERS:] if with_texts else frames(text[-CRASH_CHARACTERS:])


def without_private(line: dict[str, Any]) -> dict[str, Any]:
    """A log line that can be shown. Of other libraries' lines only the frames of traces stay."""
    shown = {name: value for name, value in line.items() if name not in logs.PRIVATE}
    if str(line.get("from", "")).partition(".")[0] not in OURS:
        shown.pop("what", None)  # a library's sentence may hold anything
    if line.get("from") == "server.compute.local":
        shown["said"] = frames(str(line.get("said", "")))
    if "trace" in shown:
        shown["trace"] = frames(str(shown["trace"]))
    return {name: value for name, value in shown.items() if value != ""}


def frames(text: str) -> str:
    """Where it happened, and the kind of the error without its words."""
    kept = []
    for line in text.splitlines():
        if FRAME.match(line):
            kept.append(line)
        elif match := re.match(r"([\w.]+(?:Error|Exception|Interrupt|Exit|Warning)):", line):
            kept.append(match[1])
    return "\n".join(kept)


PARTS: dict[str, tuple[str, Callable[[ServeConfig, bool], Any]]] = {
    "versions.json": ("programs and packages", _versions),
    "options.json": (
        "how the server would be started here; of the password only whether there is one",
        _options,
    ),
    "doctor.json": ("what `retimbre doctor` says", _findings),
    "status.json": ("what the running server says", _status),
    "metrics.txt": ("its counters, see docs/observability.md", _metrics),
    "journal.json": ("how many jobs there are, and how they ended", _journal),
    "log.jsonl": (f"the last {LOG_LINES} lines of the log", _log),
    "crash.txt": ("where the program stood when it was killed by its own fault", _crash),
}
