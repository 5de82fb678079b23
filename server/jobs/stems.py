"""Where stems lie, what they are called, and what the worker is asked for.

Functions that touch the disk say so.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from presets.knobs import select_stated
from server.jobs.journal import JobRecord, Result

MANIFEST = "manifest.json"
COPY_CHUNK_BYTES = 2**20
SLUG_BYTES = 40  # two of them and what the engine adds stay far below the 255 bytes of a file name
MAX_COPIES = 1000  # of one name in one folder


def folder_of(takes: Path, job: str, count: int, take: int) -> Path:
    """takes/<job>, or takes/<job>/take-<n> where a job makes several."""
    return takes / job if count == 1 else takes / job / f"take-{take + 1}"


def manifest_of(folder: Path, told: str) -> Path:
    """The manifest that the engine named, or the one that it promised."""
    return Path(told) if told else folder / MANIFEST


def prefix_of(audio: str, text: str, job: str) -> str:
    """Names that a person recognises in a DAW's list of files: source, words, and what makes it
    unique.
    """
    return "-".join(
        part for part in (slug(Path(audio).stem), slug(text), job.rpartition("-")[2][:6]) if part
    )


def slug(text: str) -> str:
    """Letters and digits of any language, the rest as single hyphens: fit for every file system."""
    plain = re.sub(r"[\W_]+", "-", text).strip("-")
    return plain.encode()[:SLUG_BYTES].decode("utf-8", "ignore").strip("-")


def worker_request(
    spec: dict[str, Any], worker_job: str, job: str, take: int, folder: Path
) -> dict[str, Any]:
    """The line that the worker gets for one take; takes differ by their seeds."""
    keys = spec["keys"]
    identity = {name: value for name, value in spec["audio"].items() if name != "path"}
    return {
        "op": "edit",
        "job": worker_job,
        "request": {
            "audio": spec["audio"]["path"],
            "audio_identity": identity,
            "start_seconds": spec["start"],
            "length_seconds": spec["length"] or None,
            "text": spec["text"],
            "model": spec["model"],
            "preset": spec["preset"],
            "knobs": {**select_stated(keys), "seed": (spec["seed"] + take) % 2**31},
            "format": keys.get("format", "wav"),
            "bits": keys.get("bits", "same"),
            "level": keys.get("level", "match"),
            "output_dir": str(folder),
            "stem_prefix": prefix_of(spec["audio"]["path"], spec["text"], job),
            "context": {**spec["context"], "job": job, "take": take + 1},
        },
    }


def delivered(result: Result, out: str) -> tuple[Result, str]:
    """Copy a stem to the client's folder, where it named one, and point the result to the copy.

    Blocks.

    Also returns a complaint when that cannot be done: then the stem is still where the engine put
    it.
    """
    if not out:
        return result, ""
    try:
        if os.path.realpath(out) != out:
            raise OSError(errno.ELOOP, "it has become a symbolic link, or lies behind one")
        return replace(result, path=str(_copy(Path(result.path), Path(out)))), ""
    except OSError as error:
        return (
            result,
            f"the stem is not copied to {out} ({error.strerror or error}); it lies in {result.path}",
        )


def _copy(source: Path, out: Path) -> Path:
    """The whole copy, under a name that was free in `out`."""
    temporary = out / f".{source.name}.{os.getpid()}.part"
    try:
        with open(source, "rb") as there, open(temporary, "wb") as here:
            shutil.copyfileobj(there, here, COPY_CHUNK_BYTES)
            here.flush()
            os.fsync(here.fileno())
        return _named(temporary, out / source.name)
    finally:
        temporary.unlink(missing_ok=True)


def _named(temporary: Path, wanted: Path) -> Path:
    """Give the finished copy its name, or the next free one: name-2, name-3 ... Never overwrites."""
    for number in range(1, MAX_COPIES):
        target = (
            wanted if number == 1 else wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        )
        try:
            _rename_new(temporary, target)
            return target
        except FileExistsError:
            continue
    raise FileExistsError(f"{MAX_COPIES} files are called {wanted.name} already in {wanted.parent}")


def _rename_new(source: Path, target: Path) -> None:
    """Rename that fails when the target exists.

    Windows' own does; elsewhere a hard link makes it atomic.
    """
    if os.name == "nt":
        os.rename(source, target)
        return
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # FAT and some network file systems have no links
        if target.exists():
            raise FileExistsError(str(target)) from None
        os.rename(source, target)


def finished(record: JobRecord, takes: Path) -> tuple[list[Result], list[str]]:
    """Results and manifests of the takes that the engine had finished when it or we died, up to the
    first that it had not. Blocks.
    """
    count, results, manifests = record.spec["takes"], [], []
    for take in range(count):
        found = finished_take(record.spec, folder_of(takes, record.job, count, take), len(results))
        if found is None:
            break
        results += found
        manifests.append(str(folder_of(takes, record.job, count, take) / MANIFEST))
    return results, manifests


def finished_take(spec: dict[str, Any], folder: Path, first: int) -> list[Result] | None:
    """Results of one take, counted from `first`; None where it is not finished. Blocks.

    The engine writes the manifest last, by rename: where it lies, all stems of that take are
    complete.
    """
    try:
        made = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["stems"]
        results = [_result(spec, first + index, stem) for index, stem in enumerate(made)]
    except (OSError, ValueError, KeyError):
        return None
    return results if all(os.path.isfile(result.path) for result in results) else None


def _result(spec: dict[str, Any], index: int, stem: dict[str, Any]) -> Result:
    return Result(
        index,
        stem["name"],
        stem["path"],
        stem["rate_hz"],
        stem["channels"],
        stem["frames"],
        spec["start"],
        spec["beats_start"],
    )
