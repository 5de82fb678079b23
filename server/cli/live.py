"""Live audio on a running server: start it, show its meters until ctrl-C, stop it.

retimbre live --devices
retimbre live --input BlackHole --output "Built-in" --measure
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any, NoReturn

from retimbre_client import Client

from osc_protocol import ADDRESSES, ROOT
from osc_protocol.arguments import BadArgument, take
from server import config
from server.cli.errors import EXIT_OK, EXIT_USAGE, CliError
from server.cli.session import session

KEYS = ADDRESSES[f"{ROOT}/live/start"].keys
ANSWER_SECONDS = 45.0  # an operating system may ask its user whether we may listen
SHOW_SECONDS = 0.5
METER_FROM_DBFS, METER_WIDTH = -60.0, 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Devices, what /live/start takes, and which server."""
    parser.add_argument(
        "--devices", action="store_true", help="list inputs and outputs, and do nothing else"
    )
    parser.add_argument(
        "--input", metavar="NAME", default="", help="a part of its name, or its number in --devices"
    )
    parser.add_argument("--output", metavar="NAME", default="", help="the same; none: never play")
    for key in KEYS.values():
        unit = f" [{key.unit}]" if key.unit else ""
        parser.add_argument(
            f"--{key.name}", metavar="N", help=f"{key.help}{unit} (default {key.default:g})"
        )
    parser.add_argument(
        "--measure", action="store_true", help="measure the way from output to input first"
    )
    config.add_arguments(parser.add_argument_group("server"), config.ClientConfig)


def run(arguments: argparse.Namespace) -> int:
    """Start, show, stop. Live audio that ran before with the same settings goes on."""
    keys = _keys(arguments)
    with session(config.build(config.ClientConfig, vars(arguments)), may_start=False) as server:
        client = server.client
        if arguments.devices:
            devices = client.collect("live/devices", item="live/device", end="live/devices.end")
            print("\n".join(map(_device, devices)))
            return EXIT_OK
        was_running = _status(client)["state"] == "running"
        _ask(client, "live/start", arguments.input, arguments.output, *keys)
        try:
            if arguments.measure:
                print(_measurement(_ask(client, "live/measure")))
            _show(client)
        except KeyboardInterrupt:
            pass
        finally:
            if not was_running:
                _ask(client, "live/stop")
    return EXIT_OK


def _keys(arguments: argparse.Namespace) -> list[Any]:
    given = [
        (key, getattr(arguments, key.name))
        for key in KEYS.values()
        if getattr(arguments, key.name) is not None
    ]
    try:
        return [atom for key, text in given for atom in (key.name, take(key, text))]
    except BadArgument as error:
        raise CliError("bad_args", str(error), EXIT_USAGE) from error


def _ask(client: Client, verb: str, *values: Any) -> dict[str, Any]:
    return client.ask(verb, *values, reply="done", seconds=ANSWER_SECONDS)


def _status(client: Client) -> dict[str, Any]:
    return client.ask("live/status", reply="live/status.reply")


def _show(client: Client) -> NoReturn:
    """Write one line over and over, until ctrl-C or the end of live audio (CliError not_live)."""
    end = "\r" if sys.stdout.isatty() else "\n"
    while (status := _status(client))["state"] == "running":
        print(_line(status), end=end, flush=True)
        time.sleep(SHOW_SECONDS)
    raise CliError("not_live", f"live audio is {status['state']}; the server's log says why")


def _line(status: dict[str, Any]) -> str:
    filled = round((status["peak"] / -METER_FROM_DBFS + 1) * METER_WIDTH)
    meter = "#" * max(0, min(METER_WIDTH, filled))
    bars = (
        f"{status['tempo']:.1f} bpm, beat {status['beat']:.1f}, {status['bars']} bars"
        if status["tempo"]
        else "no /live/transport yet"
    )
    return (
        f"[{meter:<{METER_WIDTH}}] {status['peak']:6.1f} dBFS  {status['filled']:5.1f} s  {bars}  "
        f"{status['xruns']} dropouts   "
    )


def _measurement(found: dict[str, Any]) -> str:
    return f"output to input: {found['round_trip']} frames measured, {found['reported']} reported"


def _device(device: dict[str, Any]) -> str:
    marks = "".join(
        mark for mark, is_it in (("<", device["is_input"]), (">", device["is_output"])) if is_it
    )
    return (
        f"{device['index']:3} {marks:2} {device['name']} ({device['system']}), "
        f"{device['inputs']} in, {device['outputs']} out, {device['rate']} Hz"
    )
