"""A take that a replica made, put where the local worker would have put it, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from engine.audio.publishing import publish
from engine.audio.writing import not_written
from engine.manifest import write_manifest
from engine.worker_queue import result_row
from server.compute.executor import Event


def write_take(done: Event, request: dict[str, Any]) -> tuple[list[Event], Event]:
    """Write stems, then the manifest, with the paths of this machine. Blocks.

    Returns the worker's `result` events and `done`. EngineError disk_full, write_failed; then
    nothing is left.
    """
    folder, values = Path(request["output_dir"]).resolve(), done["manifest"]
    written: list[Path] = []
    try:
        for stem, data in zip(values["stems"], done["stems"], strict=True):
            written.append(_write_whole(folder / Path(stem["path"]).name, data))
            stem["path"] = str(written[-1])
        values["input"]["path"], values["preset"] = str(Path(request["audio"])), request["preset"]
        manifest = write_manifest(folder, values)
    except Exception:
        for path in written:  # stems without a manifest are half a result
            path.unlink(missing_ok=True)
        raise
    results = [
        {"event": "result", "job": done["job"], "index": index, **result_row(values["input"], stem)}
        for index, stem in enumerate(values["stems"])
    ]
    return results, {
        "event": "done",
        "job": done["job"],
        "seed": done["seed"],
        "manifest": str(manifest.path),
        "seconds": done["seconds"],
    }


def _write_whole(path: Path, data: bytes) -> Path:
    """Whole or not at all, under a name that was free."""
    # short: a name that is too long fails where it is told as such
    temporary = path.with_name(f".{os.getpid()}.part")
    try:
        with open(temporary, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        return publish(temporary, path)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
