"""What may be sent to a client: audio, the manifests of takes, and what clients have uploaded.

A root folder may also hold projects, keys and notes; these stay where they are.
"""

from __future__ import annotations

from pathlib import Path

from server.errors import RequestError
from server.files.sandbox import AudioFile, Sandbox
from server.paths import MANIFEST, Paths

# (offset, bytes): the beginnings of what libsndfile reads, all of which must be there
SIGNATURES: tuple[tuple[tuple[int, bytes], ...], ...] = (
    ((0, b"RIFF"), (8, b"WAVE")),
    ((0, b"RF64"), (8, b"WAVE")),
    ((0, b"BW64"), (8, b"WAVE")),
    ((0, b"RIFX"), (8, b"WAVE")),
    ((0, b"FORM"), (8, b"AIFF")),
    ((0, b"FORM"), (8, b"AIFC")),
    ((0, b"riff"), (24, b"wave")),  # Sony Wave64
    ((0, b"fLaC"),),
    ((0, b"OggS"),),
    ((0, b"caff"),),
    ((0, b".snd"),),
    ((0, b"ID3"),),
)
MP3_LAYERS = frozenset((0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2))  # after 0xFF: MPEG 1, 2, 2.5, layer 3
HEAD_BYTES = 28


def find_served_file(sandbox: Sandbox, paths: Paths, text: str) -> AudioFile:
    """The file that `text` names, for a download. Touches the disk.

    Raises RequestError(no_file | path_denied | too_large | bad_audio).
    """
    file = sandbox.audio_file(text)
    folders = Path(file.path).parents
    is_manifest = Path(file.path).name == MANIFEST and paths.takes.resolve() in folders
    if is_manifest or paths.spool.resolve() in folders:
        return file
    with file.open() as opened:
        if not begins_as_audio(opened.read(HEAD_BYTES)):
            raise RequestError(
                "bad_audio", f"{text!r} is no audio file; only audio and manifests are sent"
            )
    return file


def begins_as_audio(head: bytes) -> bool:
    """Whether the first HEAD_BYTES of a file are those of a format that libsndfile reads."""
    is_mp3 = len(head) > 1 and head[0] == 0xFF and head[1] in MP3_LAYERS
    return is_mp3 or any(
        all(head[at : at + len(mark)] == mark for at, mark in marks) for marks in SIGNATURES
    )
