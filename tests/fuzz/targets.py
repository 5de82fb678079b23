"""Which functions do strangers' bytes reach? One target for each way in, with its errors.

A target checks more than that nothing breaks: its asserts must hold for any bytes at all.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
OSC = ("osc_protocol",)


@dataclass(frozen=True)
class Target:
    """One function of this folder on bytes.

    `packages`: those whose branches guide the fuzzer. `longest_bytes`: of one input.
    """

    function: str  # module.name; imported late, because the fuzzer instruments what is imported
    packages: tuple[str, ...]
    longest_bytes: int = 4096

    def run(self, data: bytes) -> None:
        """Give the bytes to the function."""
        module, _, name = self.function.partition(".")
        getattr(importlib.import_module(f"tests.fuzz.{module}"), name)(data)

    def seeds(self, name: str) -> list[Path]:
        """The inputs that the search starts from; `crash-*` once broke something."""
        return sorted((CORPUS / name).iterdir())


TARGETS = {
    "datagram": Target("network.datagram", (*OSC, "pythonosc")),
    "reply": Target("network.reply", (*OSC, "pythonosc")),
    "framing": Target("network.framing", OSC, 16384),
    "transfer": Target("network.transfer", OSC, 2048),
    "body": Target("http.body", ("osc_protocol", "server.http", "json")),
    "query": Target("http.query", ("osc_protocol", "server.http")),
    "path": Target("files.path", ("server.files.sandbox",), 512),
    "header": Target("files.header", ("server.files.headers",), 4096),
    "audio": Target("files.audio", ("engine.audio.files", "engine.audio.reading"), 16384),
    "preset": Target("files.preset", ("presets", "yaml"), 8192),
    "options": Target("files.options", ("server.config", "yaml"), 4096),
    "tensors": Target(
        "files.tensors", ("engine.families.audioldm2.ap_adapter", "safetensors"), 4096
    ),
}
