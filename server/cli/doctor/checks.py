"""What works on this machine and what does not: one function a check, each with its cure."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from server.config import ClientConfig, ServeConfig
from server.live import PORTAUDIO_CURES
from server.paths import WEIGHTS

OK, NOTE, BAD = "ok", "note", "bad"  # a note leaves the main job alone

PYTHON_FROM, PYTHON_BELOW = (3, 10), (3, 14)
BASE_MODULES = (
    "numpy",
    "platformdirs",
    "pydantic",
    "pythonosc",
    "yaml",
    "rich",
    "soundfile",
    "soxr",
    "tokenizers",
)
EXTRAS = {  # what is asked for, by the extra that brings it, and what one misses without it
    "torch": (("torch", "transformers", "diffusers", "peft"), "the large model families"),
    "train": (("torch", "librosa", "fluidsynth", "onnx", "tqdm"), "training and `retimbre eval`"),
}
RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
WEIGHT_FILES = (
    "config.json",
    "tokenizer.json",
    "text_encoder.onnx",
    "audio_encoder.onnx",
    "denoiser.onnx",
    "latent_decoder.onnx",
)
DISK_NEEDED_GB, DISK_WANTED_GB = 0.2, 2.0  # ten minutes of stereo float at 48 kHz are 0.23 GB
GIGABYTE = 1e9
INSTALL = "pip install -e '.[cpu]'"
RESTORE = "git checkout -- engine/families/nano/weights"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `cure` is what to do; empty when all is well."""

    subject: str
    state: str
    text: str
    cure: str = ""


def examine(options: ServeConfig) -> Iterator[Finding]:
    """Every check, in the order in which a cure makes sense."""
    yield python_version(sys.version_info[:2])
    yield base_packages()
    if _missing(BASE_MODULES):
        return  # what follows imports them
    yield runtime_package(versions_of(RUNTIMES))
    yield runtime_devices()
    yield runtime_choice(options)
    yield weights(WEIGHTS)
    yield from large_models(options.paths().models(options.models_dir))
    yield from stale_exports(options.paths().models(options.models_dir))
    yield data_folder(options.paths().data)
    yield disk(options.paths().data)
    yield styles(options)
    yield ports(options)
    yield portaudio()
    for extra in EXTRAS:
        yield optional(extra)


def python_version(version: tuple[int, int]) -> Finding:
    """The interpreter, among those that are tested."""
    text = (
        f"Python {version[0]}.{version[1]} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores"
    )
    if PYTHON_FROM <= version < PYTHON_BELOW:
        return Finding("python", OK, text)
    return Finding("python", BAD, text, "use Python 3.10 to 3.13: python3.12 -m venv .venv")


def base_packages() -> Finding:
    """What the server and the region's way in and out need."""
    missing = _missing(BASE_MODULES)
    if missing:
        return Finding("packages", BAD, f"missing: {', '.join(missing)}", INSTALL)
    return Finding("packages", OK, "all that the main job needs")


def runtime_package(versions: dict[str, str]) -> Finding:
    """Exactly one ONNX Runtime: two would overwrite each other's files."""
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    if len(versions) == 1:
        return Finding("onnxruntime", OK, named)
    if versions:
        return Finding(
            "onnxruntime",
            BAD,
            f"{named} are both installed and own the same module",
            f"pip uninstall -y {' '.join(versions)}, then {INSTALL} (or '.[gpu]')",
        )
    return Finding(
        "onnxruntime",
        BAD,
        "not installed, so no model can run",
        f"{INSTALL}, or '.[gpu]' for an NVIDIA GPU",
    )


def runtime_devices() -> Finding:
    """What ONNX Runtime can run on."""
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        return Finding(
            "devices",
            BAD,
            f"onnxruntime cannot be loaded: {error}",
            f"pip uninstall -y {' '.join(RUNTIMES)}, then {INSTALL}",
        )
    providers = [
        name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()
    ]
    if "onnxruntime-gpu" in versions_of(RUNTIMES) and "CUDA" not in providers:
        return Finding(
            "devices",
            NOTE,
            f"{', '.join(providers)}; no CUDA although onnxruntime-gpu is installed",
            "install the CUDA and cuDNN libraries of that onnxruntime-gpu, or '.[cpu]' instead",
        )
    return Finding("devices", OK, ", ".join(providers))


def runtime_choice(options: ServeConfig) -> Finding:
    """What the server would compute on, why, and why not on the others."""
    from engine.errors import EngineError
    from engine.runtimes import providers
    from export.manifest import FOLDER

    record = options.paths().models(options.models_dir) / FOLDER / providers.RECORD
    try:
        choice = providers.choose(options.runtime, record=record)
    except (EngineError, ImportError, OSError) as error:
        return Finding("runtime", BAD, str(error), "choose another one: --runtime auto")
    others = "".join(f"; {title}: {reason}" for title, reason in choice.others)
    return Finding("runtime", OK, f"{choice}{others}")


def weights(folder: Path) -> Finding:
    """The embedded model: all files there, and unchanged since they were released."""
    missing = [name for name in WEIGHT_FILES if not (folder / name).is_file()]
    if missing:
        return Finding("weights", BAD, f"missing in {folder}: {', '.join(missing)}", RESTORE)
    try:
        hashes = json.loads((folder / "config.json").read_text(encoding="utf-8"))["files"]
        changed = [name for name, digest in hashes.items() if _sha256(folder / name) != digest]
    except (ValueError, KeyError) as error:
        return Finding("weights", BAD, f"config.json is not as released: {error}", RESTORE)
    if changed:
        return Finding("weights", BAD, f"not as released: {', '.join(changed)}", RESTORE)
    size_mb = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    return Finding("weights", OK, f"nano, {size_mb:.0f} MB, hashes right")


def large_models(folder: Path) -> Iterator[Finding]:
    """The families whose weights the user fetches, each with its licence."""
    from engine.families.registry import FAMILIES

    for family in FAMILIES.values():
        if family.is_restricted:
            reason = family.missing(folder)
            yield Finding(
                family.name,
                NOTE if reason else OK,
                f"{family.title}; licence {family.licence}",
                reason,
            )


def stale_exports(folder: Path) -> Iterator[Finding]:
    """Exports of another version or of other weights, which the server does not take."""
    from engine.families.registry import FAMILIES

    for family in FAMILIES.values():
        for line in family.unfit_exports(folder):
            what, _, cure = line.partition("; ")
            yield Finding("export", NOTE, what, cure)


def data_folder(folder: Path) -> Finding:
    """Journal, takes and spool must be writable."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"retimbre")
        probe.unlink()
    except OSError as error:
        return Finding(
            "data folder", BAD, f"{folder}: {error.strerror}", "name another one: --data-dir DIR"
        )
    return Finding("data folder", OK, str(folder))


def disk(folder: Path) -> Finding:
    """Room for takes."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free_gb = shutil.disk_usage(existing).free / GIGABYTE
    text = f"{free_gb:.1f} GB free"
    if free_gb >= DISK_WANTED_GB:
        return Finding("disk", OK, text)
    return Finding(
        "disk",
        NOTE if free_gb >= DISK_NEEDED_GB else BAD,
        text,
        "make room, delete old takes, or name a folder on another disk: --data-dir DIR",
    )


def styles(options: ServeConfig) -> Finding:
    """The preset files, the user's own among them."""
    from presets import SHIPPED_FOLDER, Library

    library = Library([SHIPPED_FOLDER, options.paths().presets, *options.presets_dir])
    if library.report.errors:
        return Finding(
            "styles",
            NOTE,
            "; ".join(map(str, library.report.errors)),
            "mend the file; the others work",
        )
    return Finding("styles", OK, f"{len(library)} styles")


def ports(options: ServeConfig) -> Finding:
    """Whether the server can have its port, UDP and TCP."""
    from server.cli.session import find

    address = find(ClientConfig(data_dir=options.data_dir))
    if address is not None:
        return Finding("ports", OK, f"a retimbre server runs on {address[0]} port {address[1]}")
    if not all(
        _is_free(options.host, options.port, kind)
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    ):
        return Finding(
            "ports",
            NOTE,
            f"{options.port} is taken by another program, or {options.host} is not ours",
            "the server takes the next free port and says so; or choose one: --port N",
        )
    return Finding("ports", OK, f"{options.port} is free, UDP and TCP")


def portaudio() -> Finding:
    """Sound cards: for live audio, not for the main job."""
    try:
        import sounddevice

        devices = sounddevice.query_devices()
    except ImportError:
        return Finding(
            "portaudio", NOTE, "the package sounddevice is missing: no live audio", INSTALL
        )
    except OSError as error:
        return Finding(
            "portaudio",
            NOTE,
            f"{error}: no live audio",
            PORTAUDIO_CURES.get(platform.system(), INSTALL),
        )
    inputs = sum(device["max_input_channels"] > 0 for device in devices)
    outputs = sum(device["max_output_channels"] > 0 for device in devices)
    if not inputs:
        return Finding(
            "portaudio",
            NOTE,
            f"found, with {outputs} outputs and no input: nothing to capture from",
            "connect one, or a loopback device: docs/live.md",
        )
    return Finding(
        "portaudio", OK, f"{inputs} inputs, {outputs} outputs (`retimbre live --devices`)"
    )


def optional(extra: str) -> Finding:
    """An extra that the main job does without."""
    modules, purpose = EXTRAS[extra]
    missing = _missing(modules)
    if missing:
        return Finding(
            f"extra {extra}",
            NOTE,
            f"{purpose} would need {', '.join(missing)}",
            f"pip install -e '.[{extra}]'",
        )
    return Finding(f"extra {extra}", OK, purpose)


def _missing(modules: tuple[str, ...]) -> list[str]:
    return [name for name in modules if importlib.util.find_spec(name) is None]


def versions_of(distributions: tuple[str, ...]) -> dict[str, str]:
    """Distribution -> version, of those that are there."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _is_free(host: str, port: int, kind: socket.SocketKind) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM and os.name == "posix":
            # a connection that just ended is no obstacle
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
