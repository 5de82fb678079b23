"""Ableton Live through AbletonOSC: the selected Session clip goes out, a stem lands on a new track.

    python clients/ableton/retimbre_ableton.py "turn this into a violin" --preset harp --seed 3

Needs Live with the AbletonOSC remote script (ports 11000 and 11001) and a running `retimbre serve`.
AbletonOSC itself cannot place audio yet; forks and open pull requests of it can
(create_audio_clip). Where it cannot, the stem lies beside the clip's file, and this script says
where. It knows Session clips only; the Max device takes arrangement clips too.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from retimbre_client import Client, ClientError, Progress

LIVE_PORT, REPLY_PORT = 11000, 11001  # AbletonOSC's own; the second is fixed there
ASK_AGAIN_SECONDS = 0.5  # AbletonOSC looks at its socket every 0.1 s
SETTLE_SECONDS = 3.0
ANSWER_SECONDS = 5.0  # a menu that is open in Live stops its scripts


class LiveError(Exception):
    """Something for the person at Live to mend."""


class Live:
    """AbletonOSC: questions are answered on their own address, commands not at all."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = LIVE_PORT, reply_port: int = REPLY_PORT
    ) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind(("127.0.0.1", reply_port))
        except OSError as error:
            self._socket.close()
            raise LiveError(
                f"port {reply_port} is taken: end the other program that talks to AbletonOSC"
            ) from error
        self._target = (host, port)

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def tell(self, address: str, *values: Any) -> None:
        """Send a command."""
        message = OscMessageBuilder(address)
        for value in values:
            message.add_arg(value)
        self._socket.sendto(message.build().dgram, self._target)

    def ask(self, address: str, *values: Any, seconds: float = ANSWER_SECONDS) -> Any:
        """What follows the indices in the answer: one value, or a list. Raises LiveError."""
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            self.tell(address, *values)
            if (answer := self._receive(address, values, min(left, ASK_AGAIN_SECONDS))) is not None:
                return answer[0] if len(answer) == 1 else answer
        raise LiveError(
            f"Live does not answer {address}: "
            "is the AbletonOSC remote script switched on in its settings?"
        )

    def _receive(self, address: str, indices: tuple[Any, ...], seconds: float) -> list[Any] | None:
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                message = OscMessage(self._socket.recv(65_536))
            except TimeoutError:
                return None
            except OSError:  # Windows says here that nobody listens at the other port
                continue
            if message.address == address and tuple(message.params[: len(indices)]) == indices:
                return message.params[len(indices) :]
        return None

    def wait_until(self, is_so: Callable[[], bool]) -> bool:
        """Whether it becomes so within a few of Live's ticks."""
        ends_at = time.monotonic() + SETTLE_SECONDS
        while not (done := is_so()) and time.monotonic() < ends_at:
            time.sleep(ASK_AGAIN_SECONDS / 5)
        return done


@dataclass(frozen=True)
class Clip:
    """A region of a file, and where in Live it came from."""

    track: int
    scene: int
    name: str
    file: Path
    start_seconds: float
    length_seconds: float
    gain: float
    tempo: float


def find_selected_clip(live: Live) -> Clip:
    """The audio clip in the selected slot. LiveError if its file is not what the song plays."""
    slot = tuple(live.ask("/live/view/get/selected_clip"))

    def get(name: str) -> Any:
        return live.ask(f"/live/clip/get/{name}", *slot)

    if not live.ask("/live/clip_slot/get/has_clip", *slot):
        raise LiveError("the selected slot is empty; click a clip in the Session View")
    if not get("is_audio_clip"):
        raise LiveError("the selected clip is MIDI; freeze and flatten its track first")
    if get("warping"):
        raise LiveError(
            "the clip is warped, so its file is not what you hear: switch Warp off, or consolidate "
            "it and switch Warp off there "
            "(the Max device also takes clips warped to the song's own tempo)"
        )
    if get("pitch_coarse") or get("pitch_fine"):
        raise LiveError(
            "the clip is transposed, so its file is not what you hear: consolidate it first"
        )
    start, end = float(get("loop_start")), float(get("loop_end"))  # in seconds, as it is not warped
    return Clip(
        *slot,
        name=get("name"),
        file=Path(get("file_path")),
        start_seconds=max(0.0, start),
        length_seconds=end - max(0.0, start),
        gain=float(get("gain")),
        tempo=float(live.ask("/live/song/get/tempo")),
    )


def edit(client: Client, clip: Clip, text: str, beat: float, keys: dict[str, Any]) -> list[Path]:
    """The stems, copied beside the clip's file: a Live Set must not refer to a spool."""
    outcome = client.edit(
        clip.file,
        text,
        on_progress=_print_progress,
        start=clip.start_seconds,
        length=clip.length_seconds,
        tempo=clip.tempo,
        beats_start=beat,
        **keys,
    )
    folder = clip.file.parent / "retimbre"
    folder.mkdir(exist_ok=True)
    name = re.sub(r"[^\w]+", "-", text)[:40].strip("-")
    stems = [
        client.fetch(stem, _find_free(folder / f"{clip.file.stem}-{name}-{stem.name}.wav"))
        for stem in outcome.stems
    ]
    print(f"seed {outcome.seed}, {outcome.seconds:.1f} s", file=sys.stderr)
    return stems


def _find_free(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def place(live: Live, clip: Clip, stem: Path, track: int, name: str, beat: float | None) -> bool:
    """Put a stem on a new track at index `track`. False, without the track, where that fails.

    It lands in the clip's scene, or in the arrangement at `beat`.
    """
    tracks = live.ask("/live/song/get/num_tracks")
    live.tell("/live/song/create_audio_track", track)
    if not live.wait_until(lambda: live.ask("/live/song/get/num_tracks") == tracks + 1):
        raise LiveError("Live made no new track; its edition may allow no more")
    live.tell("/live/track/set/name", track, name)
    if beat is None:
        live.tell("/live/clip_slot/create_audio_clip", track, clip.scene, str(stem))
        is_there = live.wait_until(
            lambda: bool(live.ask("/live/clip_slot/get/has_clip", track, clip.scene))
        )
    else:
        live.tell("/live/track/create_audio_clip", track, str(stem), float(beat))
        is_there = live.wait_until(
            lambda: live.ask("/live/track/get/arrangement_clips/start_time", track) == beat
        )
    if not is_there:
        live.tell("/live/song/delete_track", track)
        live.wait_until(lambda: live.ask("/live/song/get/num_tracks") == tracks)
    elif beat is None:
        for key, value in (("warping", 0), ("gain", clip.gain), ("name", name)):
            live.tell(f"/live/clip/set/{key}", track, clip.scene, value)
    return is_there


def run(arguments: argparse.Namespace) -> None:
    """Ask Live, edit, put it back. Raises LiveError or ClientError."""
    keys = dict(pair.split("=", 1) for pair in arguments.set)
    keys |= {
        key: value for key in ("preset", "seed") if (value := getattr(arguments, key)) is not None
    }
    with Live(port=arguments.live_port, reply_port=arguments.reply_port) as live:
        clip = find_selected_clip(live)
        with Client(arguments.host, arguments.port) as client:
            stems = edit(client, clip, arguments.text, arguments.beat or 0.0, keys)
        for count, stem in enumerate(stems):
            print(stem)
            if not place(live, clip, stem, clip.track + 1 + count, arguments.text, arguments.beat):
                raise LiveError(f"this AbletonOSC cannot place audio; drag it in by hand: {stem}")


def _print_progress(progress: Progress) -> None:
    print(f"{progress.stage} {max(0.0, progress.fraction):.0%}", file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text", help="what to do, in words")
    parser.add_argument("--preset", help="a style, or several with weights: harp 0.7 choir 0.3")
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="any key of docs/osc.md"
    )
    parser.add_argument(
        "--beat",
        type=float,
        help="place the stem in the arrangement at this beat, not in the scene",
    )
    parser.add_argument("--host", default="127.0.0.1", help="of the retimbre server")
    parser.add_argument("--port", type=int, default=11020, help="of the retimbre server")
    parser.add_argument("--live-port", type=int, default=LIVE_PORT, help=argparse.SUPPRESS)
    parser.add_argument("--reply-port", type=int, default=REPLY_PORT, help=argparse.SUPPRESS)
    try:
        run(parser.parse_args(argv))
    except (LiveError, ClientError) as error:
        print(f"retimbre: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
