"""Bitwig Studio through DrivenByMoss: edit a file, load the stem into a Clip Launcher slot.

    python clients/bitwig/retimbre_bitwig.py solo.wav "turn this into a violin" --track 2 --clip 1

Needs Bitwig with the extension DrivenByMoss, controller "Open Sound Control", and a running
`retimbre serve`. DrivenByMoss tells the tempo and takes files, but it does not tell which file a
clip plays, so you name the file. Bounce the clip in Bitwig first (Bounce in Place); its file is
then in the project's folder.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from retimbre_client import Client, ClientError, Progress

# as set in the extension: it receives on the first and sends to the second
RECEIVE_PORT, SEND_PORT = 8000, 9000
BANK = range(1, 9)  # DrivenByMoss numbers what its banks of eight show
REFRESH_SECONDS = 1.0


class BitwigError(Exception):
    """Something for the person at Bitwig to mend."""


def make_message(address: str, *values: Any) -> bytes:
    """One OSC message as bytes."""
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build().dgram


def insert_file(track: int, clip: int, path: Path) -> bytes:
    """The message that loads a file into a slot. Raises BitwigError."""
    for name, number in (("track", track), ("clip", clip)):
        if number not in BANK:
            raise BitwigError(
                f"--{name} {number}: expected 1 to 8, as DrivenByMoss's bank shows them now"
            )
    return make_message(f"/track/{track}/clip/{clip}/insertFile", str(path.resolve()))


class Bitwig:
    """DrivenByMoss on two UDP ports. It acknowledges nothing; what it shows can be asked for."""

    def __init__(self, receive_port: int = RECEIVE_PORT, send_port: int = SEND_PORT) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._target = ("127.0.0.1", receive_port)
        try:
            self._socket.bind(("127.0.0.1", send_port))
        except OSError as error:
            self._socket.close()
            raise BitwigError(
                f"port {send_port} is taken: end the other program that listens to Bitwig"
            ) from error

    def __enter__(self) -> Bitwig:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, packet: bytes) -> None:
        self._socket.sendto(packet, self._target)

    def wait_for(self, address: str, expected: Any = None, seconds: float = REFRESH_SECONDS) -> Any:
        """The value that it shows there, or None; with `expected`, once it is that value."""
        self.send(make_message("/refresh"))
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                packet = self._socket.recv(65_536)
            except OSError:  # silence; or, on Windows, word that nobody listens there
                continue
            for one in _messages(packet):
                if one.address == address and one.params and expected in (None, one.params[0]):
                    return one.params[0]
        return None


def _messages(packet: bytes) -> list[OscMessage]:
    if not OscBundle.dgram_is_bundle(packet):
        return [OscMessage(packet)]
    return [inner for part in OscBundle(packet) for inner in _messages(part.dgram)]


def run(arguments: argparse.Namespace) -> None:
    """Edit the file with Bitwig's tempo, put the stem beside it, load it.

    Raises BitwigError or ClientError.
    """
    # a wrong slot is refused before the work
    insert_file(arguments.track, arguments.clip, arguments.audio)
    keys = dict(pair.split("=", 1) for pair in arguments.set)
    keys |= {
        key: value for key in ("preset", "seed") if (value := getattr(arguments, key)) is not None
    }
    with Bitwig(arguments.bitwig_port, arguments.listen_port) as bitwig:
        tempo = bitwig.wait_for("/tempo/raw")
        if tempo is None:
            raise BitwigError(
                f"Bitwig does not answer on port {arguments.bitwig_port}: "
                "add the controller Open Sound Control, "
                f"which receives there and sends to 127.0.0.1 port {arguments.listen_port}"
            )
        with Client(arguments.host, arguments.port) as client:
            outcome = client.edit(
                arguments.audio,
                arguments.text,
                on_progress=_print_progress,
                tempo=float(tempo),
                **keys,
            )
            stem = client.fetch(
                outcome.stems[0], _stem_path(arguments.audio, arguments.text, outcome.seed)
            )
        print(stem)
        bitwig.send(insert_file(arguments.track, arguments.clip, stem))
        slot = f"/track/{arguments.track}/clip/{arguments.clip}"
        if bitwig.wait_for(f"{slot}/hasContent", expected=1, seconds=3 * REFRESH_SECONDS) is None:
            raise BitwigError(
                f"Bitwig did not take the file into {slot}; is it an audio track? "
                f"Drag it in: {stem}"
            )


def _stem_path(audio: Path, text: str, seed: int) -> Path:
    name = re.sub(r"[^\w]+", "-", text)[:40].strip("-")
    return audio.resolve().with_name(f"{audio.stem}-{name}-{seed}.wav")


def _print_progress(progress: Progress) -> None:
    print(f"{progress.stage} {max(0.0, progress.fraction):.0%}", file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("audio", type=Path)
    parser.add_argument("text", help="what to do, in words")
    parser.add_argument("--track", type=int, required=True, help="1 to 8, as the bank shows them")
    parser.add_argument("--clip", type=int, required=True, help="slot of that track, 1 to 8")
    parser.add_argument("--preset", help="a style, or several with weights: harp 0.7 choir 0.3")
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="any key of docs/osc.md"
    )
    parser.add_argument("--host", default="127.0.0.1", help="of the retimbre server")
    parser.add_argument("--port", type=int, default=11020, help="of the retimbre server")
    parser.add_argument(
        "--bitwig-port", type=int, default=RECEIVE_PORT, help="the extension's port to receive on"
    )
    parser.add_argument(
        "--listen-port", type=int, default=SEND_PORT, help="the extension's port to send to"
    )
    try:
        run(parser.parse_args(argv))
    except (BitwigError, ClientError) as error:
        print(f"retimbre: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
