"""Which requests have one answer? Settings, styles, takes, live audio, and the server itself."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retimbre_client.audio_link import new_id
from retimbre_client.exchange import request
from retimbre_client.questions import ANSWER_SECONDS
from retimbre_client.values import NoServer

LIVE_SECONDS = 45.0  # an operating system may ask its user whether we may listen


class Requests(abc.ABC):
    """One method for each request; subclasses say how to ask."""

    silence_seconds: float

    @abc.abstractmethod
    async def ask(
        self, name: str, *args: Any, reply: str, seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]:
        """Any request of the protocol that has one reply: that reply's values.

        Raises Refused on its /fail.
        """

    @abc.abstractmethod
    async def collect(
        self, name: str, *args: Any, item: str, end: str, seconds: float = ANSWER_SECONDS
    ) -> list[dict[str, Any]]:
        """Any request that is answered with items and an end: the items' values, all, in order."""

    @abc.abstractmethod
    async def _command(self, name: str, packet: bytes) -> None:
        """A request that is answered only when it fails."""

    async def set(self, **keys: Any) -> None:
        """Keys for all later jobs of this client."""
        await self._command("set", request("set", **keys))

    async def get(self, key: str) -> Any:
        """One of them."""
        return (await self.ask("get", key, reply="get.reply"))["value"]

    async def presets(self) -> list[dict[str, Any]]:
        """All styles."""
        return await self.collect("preset/list", item="preset/item", end="preset/list.end")

    async def preset(self, name: str) -> list[dict[str, Any]]:
        """One style's settings."""
        return await self.collect("preset/get", name, item="preset/param", end="preset/get.end")

    async def blend(self, mixture: str | Mapping[str, float]) -> int:
        """Mix styles for all later jobs: {"harp": 0.7, "pan_flute": 0.3}. Returns how many."""
        return (await self.ask("preset/blend", mixture_text(mixture), reply="done"))["styles"]

    async def reload_presets(self) -> int:
        """Have the server read its preset files again. Returns how many there are."""
        return (await self.ask("preset/reload", reply="done", seconds=self.silence_seconds))[
            "presets"
        ]

    async def models(self) -> list[dict[str, Any]]:
        """All models."""
        return await self.collect("model/list", item="model/item", end="model/list.end")

    async def takes(self, region: str = "") -> list[dict[str, Any]]:
        """What was made of a region (`region()["region"]`), newest first.

        Empty: of the current region, or of all.
        """
        return await self.collect("take/list", region, item="take/item", end="take/list.end")

    # Live audio: docs/live.md

    async def live_start(self, input: str = "", output: str = "", **keys: Any) -> dict[str, Any]:
        """Listen to an input, and play on an output ("none": never).

        `keys`: osc_protocol's LIVE_KEYS.
        """
        return await self.ask(
            "live/start", input, output, *pairs(keys), reply="done", seconds=LIVE_SECONDS
        )

    async def live_stop(self) -> None:
        """Stop listening, and forget the sound."""
        await self.ask("live/stop", reply="done", seconds=LIVE_SECONDS)

    async def live_devices(self) -> list[dict[str, Any]]:
        """What could be listened to and played on."""
        return await self.collect(
            "live/devices", item="live/device", end="live/devices.end", seconds=LIVE_SECONDS
        )

    async def live_status(self) -> dict[str, Any]:
        """State, level, latencies in frames, lost sound, and how many bars can be captured."""
        return await self.ask("live/status", reply="live/status.reply")

    async def live_transport(self, tempo: float, beat: float = 0.0, **keys: Any) -> None:
        """Where the DAW is now. `keys`: osc_protocol's TRANSPORT_KEYS."""
        await self._command("live/transport", request("live/transport", tempo, beat, **keys))

    async def live_measure(self) -> dict[str, Any]:
        """Measure the way from output to input, in frames, and compensate by it."""
        return await self.ask("live/measure", reply="done", seconds=LIVE_SECONDS)

    async def live_play(self, job_id: int | str, index: int = 0, times: int = 1) -> dict[str, Any]:
        """Play a stem of a take from the next bar line on. Returns where that is."""
        return await self.ask("live/play", job_id, index, times, reply="live/playing")

    async def live_silence(self) -> None:
        """Stop what is played."""
        await self.ask("live/silence", reply="done")

    # The server

    async def ping(self, seconds: float = 1.0) -> bool:
        """Whether the server answers."""
        try:
            await self.ask("ping", new_id(), reply="pong", seconds=seconds)
        except NoServer:
            return False
        return True

    async def status(self) -> dict[str, Any]:
        """State, queue, memory."""
        return await self.ask("status", reply="status.reply")

    async def version(self) -> dict[str, Any]:
        """Which server it is."""
        return await self.ask("version", reply="version.reply")

    async def folder(self) -> Path:
        """Where a program on the server's machine may write a region."""
        return Path((await self.ask("folder", reply="folder.reply"))["path"])


def mixture_text(mixture: str | Mapping[str, float]) -> str:
    """A mixture as the protocol writes it: `harp 0.7 pan_flute 0.3`."""
    if isinstance(mixture, str):
        return mixture
    return " ".join(f"{name} {weight:g}" for name, weight in mixture.items())


def pairs(keys: Mapping[str, Any]) -> list[Any]:
    """Keys and values as the protocol's arguments."""
    return [atom for pair in keys.items() for atom in pair]
