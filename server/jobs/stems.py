"""Where stems lie, what they are called, and what the worker is asked for.

Functions that touch the disk say so.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.audio.publishing import publish
from presets.knobs import select_stated
from server.jobs.records import EditRecord, Result
from server.jobs.spec import JobSpec
from server.paths import MANIFEST

COPY_CHUNK_BYTES = 2**20
BEHIND_A_LINK = "it has become a symbolic link, or lies behind one"
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flags
FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | NO_FOLLOW
NEW_FILE_FLAGS = os.O_CREAT | os.O_EXCL | os.O_WRONLY | NO_FOLLOW | getattr(os, "O_BINARY", 0)
SLUG_BYTES = 40  # two of them and what the engine adds stay far below the 255 bytes of a file name


def take_folder(takes: Path, job: str, count: int, take: int) -> Path:
    """takes/<job>, or takes/<job>/take-<n> where a job makes several."""
    return takes / job if count == 1 else takes / job / f"take-{take + 1}"


def manifest_path(folder: Path, named: str) -> Path:
    """The manifest that the engine has named, or the one that it promised."""
    return Path(named) if named else folder / MANIFEST


def stem_prefix(audio: str, text: str, job: str) -> str:
    """Source, words and a part of the job's name, so that people know it in a list of files."""
    return "-".join(
        part for part in (slug(Path(audio).stem), slug(text), job.rpartition("-")[2][:6]) if part
    )


def slug(text: str) -> str:
    """Letters and digits of any language, the rest as single hyphens: fit for every file system."""
    plain = re.sub(r"[\W_]+", "-", text).strip("-")
    return plain.encode()[:SLUG_BYTES].decode("utf-8", "ignore").strip("-")


def worker_request(
    spec: JobSpec, worker_job: str, job: str, take: int, folder: Path
) -> dict[str, Any]:
    """The line that the worker gets for one take; takes differ by their seeds."""
    options = spec.options
    return {
        "op": "edit",
        "job": worker_job,
        "request": {
            "audio": spec.audio.path,
            "audio_identity": vars(spec.audio.identity),
            "start_seconds": spec.start_seconds,
            "length_seconds": spec.length_seconds or None,
            "text": spec.text,
            "model": spec.model,
            "preset": spec.preset.to_json() if spec.preset else None,
            "knobs": {**select_stated(options), "seed": (spec.seed + take) % 2**31},
            "format": options.get("format", "wav"),
            "bits": options.get("bits", "same"),
            "level": options.get("level", "match"),
            "output_dir": str(folder),
            "stem_prefix": stem_prefix(spec.audio.path, spec.text, job),
            "context": {**spec.context, "job": job, "take": take + 1},
        },
    }


def deliver(result: Result, out: str) -> tuple[Result, str]:
    """Copy a stem to the client's folder, where it named one. Blocks.

    Returns the result with the copy's path. Where that cannot be made: the result as it was, and
    what the problem is.
    """
    if not out:
        return result, ""
    try:
        with _open_folder(Path(out)) as folder:
            return replace(result, path=str(_copy(Path(result.path), Path(out), folder))), ""
    except OSError as error:
        problem = f"the stem is not copied to {out} ({error.strerror or error})"
        return result, f"{problem}; it lies in {result.path}"


@contextmanager
def _open_folder(path: Path) -> Iterator[int | None]:
    """The folder as a descriptor, opened one part of its path after another and behind no link.

    So nobody can lead a stem elsewhere by swapping a folder meanwhile. Windows has no such
    descriptors: None.
    """
    if os.name == "nt":
        if os.path.realpath(path) != str(path):
            raise OSError(errno.ELOOP, BEHIND_A_LINK)
        yield None
        return
    folder = os.open(path.anchor, FOLDER_FLAGS)
    try:
        for part in path.parts[1:]:
            try:
                inner = os.open(part, FOLDER_FLAGS, dir_fd=folder)
            except NotADirectoryError as error:  # what Linux says of a link
                raise OSError(errno.ELOOP, BEHIND_A_LINK) from error
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _copy(source: Path, out: Path, folder: int | None) -> Path:
    """Copy it whole, under a name that is free in `out`. No link is followed, no file replaced."""
    temporary = out / f".{source.name}.{secrets.token_hex(8)}.part"
    name = temporary if folder is None else temporary.name
    with open(source, "rb") as stem:
        descriptor = os.open(name, NEW_FILE_FLAGS, 0o666, dir_fd=folder)
        try:
            with open(descriptor, "wb") as copy:
                shutil.copyfileobj(stem, copy, COPY_CHUNK_BYTES)
                copy.flush()
                os.fsync(copy.fileno())
            return publish(temporary, out / source.name, folder)
        finally:
            with suppress(FileNotFoundError):  # renamed
                os.unlink(name, dir_fd=folder)


def read_takes(record: EditRecord, takes: Path) -> tuple[list[Result], list[str]]:
    """Results and manifests of the takes that the engine has finished. Blocks.

    Takes are made in order: the first that is not finished ends the list.
    """
    spec = record.spec
    results: list[Result] = []
    manifests: list[str] = []
    for take in range(spec.takes):
        folder = take_folder(takes, record.job, spec.takes, take)
        found = read_take(spec, folder, len(results))
        if found is None:
            break
        results += found
        manifests.append(str(folder / MANIFEST))
    return results, manifests


def read_take(spec: JobSpec, folder: Path, first: int) -> list[Result] | None:
    """Results of one take, counted from `first`; None where it is not finished. Blocks.

    The engine writes the manifest last, by rename: where it lies, all stems of the take are whole.
    """
    try:
        stems = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["stems"]
        results = [_to_result(spec, first + index, stem) for index, stem in enumerate(stems)]
    except (OSError, ValueError, KeyError):
        return None
    return results if all(os.path.isfile(result.path) for result in results) else None


def _to_result(spec: JobSpec, index: int, stem: dict[str, Any]) -> Result:
    return Result(
        index,
        stem["name"],
        stem["path"],
        stem["rate_hz"],
        stem["channels"],
        stem["frames"],
        spec.start_seconds,
        spec.beats_start,
    )
