"""Say whether a server runs, and what it does; exit code 1 when none answers."""

from __future__ import annotations

import argparse
import json
from typing import Any

from server import config
from server.cli.errors import EXIT_OK
from server.cli.session import session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which server."""
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    config.add_arguments(parser, config.ClientConfig)


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print one line for each answer."""
    with session(config.build(config.ClientConfig, vars(arguments)), may_start=False) as server:
        client = server.client
        version = client.version()
        facts = {
            "address": f"{client.host}:{client.port}",
            **client.status(),
            "version": "{name} {major}.{minor}.{patch}".format(**version),
            "protocol": version["protocol"],
            "models": client.models(),
        }
    print(json.dumps(facts, indent=2) if arguments.json else _text(facts))
    return EXIT_OK


def _text(facts: dict[str, Any]) -> str:
    models = ", ".join(
        f"{each['name']} ({'loaded' if each['loaded'] else 'not loaded'})"
        for each in facts["models"]
    )
    return "\n".join(
        (
            f"{facts['version']} at {facts['address']}, up {facts['uptime'] / 60:.1f} min",
            f"state    {facts['state']}, {facts['running']} running, {facts['queued']} waiting",
            f"device   {facts['device']}, "
            f"{facts['memory_used']:.1f} of {facts['memory_total']:.1f} GB used",
            f"models   {models}",
        )
    )
