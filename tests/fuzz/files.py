"""Files and their names: paths, audio, presets, options, adapters."""

from __future__ import annotations

import atexit
import functools
import io
import os
import shutil
import tempfile
from pathlib import Path


@functools.cache
def _folder() -> Path:
    folder = Path(
        tempfile.mkdtemp(
            prefix="retimbre-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
        )
    )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def file_of(data: bytes, name: str) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def path(data: bytes) -> None:
    """Whatever a client calls a file, what is let through is a regular file under the root."""
    from server.errors import RequestError
    from server.files.sandbox import normalise

    text = data.decode("utf-8", "surrogateescape")
    for is_windows in (False, True):
        try:
            normalise(text, is_windows)
        except RequestError:
            pass
    try:
        found = _sandbox().audio_file(text).path
    except RequestError:
        return
    root = _sandbox().roots[0]
    assert (
        os.path.realpath(found) == found
        and found.startswith(root + os.sep)
        and os.path.isfile(found)
    )


@functools.cache
def _sandbox():
    from server.files.sandbox import Sandbox

    root = _folder() / "root"
    (root / "song").mkdir(parents=True)
    for name in ("a.wav", "song/b.wav"):
        (root / name).write_bytes(b"x")
    (root.parent / "secret.wav").write_bytes(b"x")
    (root / "up").symlink_to(root.parent)
    (root / "link.wav").symlink_to(root.parent / "secret.wav")
    os.mkfifo(root / "pipe.wav")
    return Sandbox([root], 1000)


def header(data: bytes) -> None:
    """The first look at a file: what it promises, or a HeaderError."""
    from server.files.headers import HeaderError, read_header

    try:
        found = read_header(io.BytesIO(data))
    except HeaderError:
        return
    assert found is None or (found.seconds >= 0 and found.end_bytes >= 0)


def audio(data: bytes) -> None:
    """libsndfile's look and ours: finite samples in the header's shape, or an EngineError."""
    import numpy as np

    from engine.audio.files import file_info
    from engine.audio.reading import read_region
    from engine.errors import EngineError

    found = file_of(data, "audio.wav")
    try:
        info = file_info(found)
        region = read_region(found, length_seconds=0.5, context_seconds=0.1)
        whole = read_region(found) if info.frames < 1e6 else region
    except EngineError:
        return
    assert region.samples.shape[1] == info.channels and np.isfinite(region.samples).all()
    assert len(region.region) == region.frames and np.isfinite(whole.samples).all()


def preset(data: bytes) -> None:
    """A style, or a PresetError."""
    from presets.errors import PresetError
    from presets.loader import parse_preset

    try:
        parse_preset(data)
    except PresetError as error:
        str(error).encode("utf-8", "replace")


def options(data: bytes) -> None:
    """The option file: a configuration, or a ConfigError."""
    from server.config import ConfigError, ServeConfig, build

    try:
        build(ServeConfig, {"config": str(file_of(data, "options.yaml"))}, {})
    except ConfigError:
        pass


def tensors(data: bytes) -> None:
    """An adapter's file: tensors, or an EngineError."""
    from safetensors import SafetensorError

    from engine.families.audioldm2.ap_adapter import read_adapter

    try:
        read_adapter(file_of(data, "adapter.safetensors"))
    except SafetensorError:
        pass
