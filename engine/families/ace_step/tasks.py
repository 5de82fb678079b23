"""Which tasks does ACE-Step do, and which tracks does it know?

The text encoder reads a task's instruction, which must have the words that it was trained with
(acestep/constants.py of ACE-Step-1.5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import EngineError
from engine.families.shared.tasks import SceneTask


@dataclass(frozen=True)
class Task(SceneTask):
    """A task with its instruction.

    `{tracks}` in the instruction: the tracks that the words name.
    """

    instruction: str = ""
    is_base_only: bool = False  # turbo and sft were not trained for it
    most_tracks: int = 0  # named in the words; at least one, unless `plain` replaces them
    plain: str = ""
    hears_codes: bool = False  # the region's semantic codes instead of its sound


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            "cover",
            2.0,
            instruction="Generate audio semantic tokens based on the given conditions:",
            hears_codes=True,
        ),
        Task(
            "lego",
            5.0,
            instruction="Generate the {tracks} track based on the audio context:",
            is_base_only=True,
            most_tracks=1,
        ),
        Task(
            "complete",
            5.0,
            instruction="Complete the input track with {tracks}:",
            is_base_only=True,
            most_tracks=12,
            plain="Complete the input track:",
        ),
        Task(
            "repaint",
            20.0,
            refills=True,
            joins=("start", "end"),
            instruction="Repaint the mask area based on the given conditions:",
        ),
        Task(
            "extract",
            2.0,
            instruction="Extract the {tracks} track from the audio:",
            is_base_only=True,
            most_tracks=1,
        ),
    )
}
# the instruction that a weak cover leans towards
WORDS_ALONE = "Fill the audio semantic mask based on the given conditions:"

TRACKS: Mapping[str, tuple[str, ...]] = {  # the name in the instruction, and the words that mean it
    "BACKING_VOCALS": (
        "backing vocals",
        "backing vocal",
        "backing_vocals",
        "choir",
        "choirs",
        "harmony vocals",
    ),
    "VOCALS": ("vocals", "vocal", "voice", "singer", "singing"),
    "PERCUSSION": ("percussion", "congas", "bongos", "shaker", "tambourine"),
    "DRUMS": ("drums", "drum", "drum kit", "beat"),
    "BASS": ("bass", "bassline", "bass guitar", "double bass"),
    "GUITAR": ("guitar", "guitars"),
    "KEYBOARD": ("keyboard", "keyboards", "keys", "piano", "organ", "rhodes"),
    "SYNTH": ("synth", "synths", "synthesizer", "synthesiser", "pad"),
    "STRINGS": ("strings", "string", "violin", "violins", "viola", "cello", "cellos"),
    "BRASS": ("brass", "trumpet", "trombone", "horn", "horns"),
    "WOODWINDS": (
        "woodwinds",
        "woodwind",
        "flute",
        "clarinet",
        "oboe",
        "bassoon",
        "saxophone",
        "sax",
    ),
    "FX": ("fx", "effects", "sound effects"),
}
_PHRASES = sorted(
    ((phrase, track) for track, row in TRACKS.items() for phrase in row),
    key=lambda row: -len(row[0]),
)


def tracks_in(text: str) -> list[str]:
    """The tracks that words name, in their order.

    Of phrases that lie within one another the longest counts.
    """
    found: list[tuple[int, str]] = []
    rest = text.lower()
    for phrase, track in _PHRASES:
        for match in re.finditer(rf"\b{re.escape(phrase)}\b", rest):
            found.append((match.start(), track))
            rest = rest[: match.start()] + " " * len(phrase) + rest[match.end() :]
    return list(dict.fromkeys(track for _, track in sorted(found)))


def instruction_for(task: Task, text: str) -> str:
    """The instruction that the text encoder reads.

    EngineError bad_args where the words name no track, or too many.
    """
    if not task.most_tracks:
        return task.instruction
    tracks = tracks_in(text)
    if not tracks and task.plain:
        return task.plain
    if not 1 <= len(tracks) <= task.most_tracks:
        known = ", ".join(name.lower().replace("_", " ") for name in TRACKS)
        wanted = "one track" if task.most_tracks == 1 else "tracks"
        expected = f"text: {task.name} wants {wanted} of: {known}"
        raise EngineError(
            "bad_args", f"{expected}; {text!r:.80} names {', '.join(tracks).lower() or 'none'}"
        )
    return task.instruction.format(tracks=" | ".join(tracks))
