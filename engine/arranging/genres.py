"""The table of genres: all that the arranger knows about jazz, waltzes or techno is written here.

The same rows compose the music that nano learns from and arrange the regions that users send.
Signs of the patterns (see notation.py for beats and bars):

    drums     X loud   x plain   o soft   ? soft, now and then   . nothing
    bass      1 3 5 7 8 the chord's tones   w walks on   a leads into the next root   x muted   - held
    chords    X x o as for drums   - held
              in both, n is the next beat's chord, struck before its time
    tune, counter, pad    x a note   - held   . rest
    arpeggio  1 2 3 .. the chord's tones from below   - held
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

DRUMS: Mapping[str, int] = {  # name of a line in a pattern -> General MIDI percussion
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "low_tom": 45,
    "floor_tom": 41,
    "high_tom": 48,
    "hat": 42,
    "pedal": 44,
    "open": 46,
    "crash": 49,
    "ride": 51,
    "bell": 53,
    "tambourine": 54,
    "cowbell": 56,
    "bongo": 60,
    "conga_mute": 62,
    "conga": 63,
    "low_conga": 64,
    "timbale": 65,
    "cabasa": 69,
    "maracas": 70,
    "claves": 75,
    "triangle": 81,
}

VOICINGS: Mapping[str, tuple[int, ...]] = {  # which of a chord's tones sound, counted from the root
    "triad": (0, 1, 2),
    "full": (0, 1, 2, 3),
    "rootless": (1, 2, 3),
    "shell": (0, 1, 3),
    "power": (0, 2),
}


class Harmony(NamedTuple):
    mode: str
    weight: float
    progressions: tuple[str, ...]
    cadence: str  # the two bars that end a section


class Drums(NamedTuple):
    """Lines of one metre: what goes on, its light variation, and a fill for the last beats of a bar."""

    groove: Mapping[str, str]
    variation: Mapping[str, str]
    fill: Mapping[str, str]
    crash: str = "crash"  # what follows a fill


@dataclass(frozen=True)
class Genre:
    words: tuple[str, ...]  # what people call it
    tempo_bpm: tuple[float, float]
    metres: Mapping[int, float]  # beats in a bar -> how often; 6 counts the eighths of 6/8
    harmonies: tuple[Harmony, ...]
    drums: tuple[Drums, ...]
    bass: tuple[str, ...]
    chords: tuple[str, ...]
    arpeggio: tuple[str, ...]
    tune: tuple[str, ...]
    instruments: Mapping[str, tuple[str, ...]]  # role, or "lead" -> words that nano knows
    counter: tuple[str, ...] = (". x - .", "x - - -", ". x x -", ". x -", "x - -", ". x - x -")
    voicing: str = "triad"
    swing: float = 0.5  # where the second of two eighths falls: 0.5 straight, 0.67 triplets
    swung_pairs_per_beat: int = 1  # 2: sixteenths swing
    strum_seconds: float = 0.0  # from string to string
    human_seconds: float = 0.005  # standard deviation of an onset
    loudness: float = 0.8


JAZZ = Genre(
    words=("jazz", "swing", "bebop", "big band", "jazz trio", "jazz combo"),
    tempo_bpm=(90, 180),
    metres={4: 0.7, 3: 0.2, 5: 0.1},
    swing=0.65,
    voicing="rootless",
    human_seconds=0.008,
    harmonies=(
        Harmony(
            "major",
            0.5,
            (
                "ii7 | V7 | IM7 | VI7",
                "IM7 VI7 | ii7 V7 | iii7 VI7 | ii7 V7",
                "IM7 | IM7 | iv7 | bVII7 | IM7 | VI7 | ii7 | V7",
            ),
            "ii7 V7 | I6",
        ),
        Harmony("minor", 0.3, ("i6 | iiø7 V7 | i6 | iiø7 V7", "iv7 | bVII7 | bIIIM7 | bVIM7"), "iiø7 V7 | i6"),
        Harmony("dorian", 0.2, ("i7 | i7 | i7 | IV7", "i7 | IV7 | i7 | IV7"), "IV7 | i7"),
    ),
    drums=(
        Drums(
            {"ride": "X. xx X. xx", "pedal": ".. x. .. x.", "kick": "o. o. o. o.", "snare": ".. .? .. .?"},
            {"ride": "X. xx X. xx", "pedal": ".. x. .. x.", "kick": "o. .. .x ..", "snare": ".? .. x. .o"},
            {"snare": "xox xoX", "high_tom": "... .x.", "kick": "x.. ..X"},
        ),
        Drums(
            {"ride": "X. xx x.", "pedal": ".. x. ..", "kick": "x. .. ..", "snare": ".. .? .o"},
            {"ride": "X. xx x.", "pedal": ".. x. ..", "kick": "x. .. .o", "snare": ".. .x .."},
            {"snare": "xox oxX", "low_tom": "... x..", "kick": "x.. ..."},
        ),
        Drums(
            {"ride": "X. xx x. X. xx", "pedal": ".. x. .. .. x.", "kick": "x. .. .. x. ..", "snare": ".. .. .o .. .?"},
            {"ride": "X. xx x. X. xx", "pedal": ".. x. .. .. x.", "kick": "x. .. .x .. ..", "snare": ".. .x .. x. .o"},
            {"snare": "xox xoX", "low_tom": "... x.x", "kick": "x.. ..."},
        ),
    ),
    bass=("1- w- w- a-", "1- -- 5- -a", "1- w- a-", "1- w- w- 5- a-"),
    chords=("x- .x .. ..", ".. .X .. x-", "x. .x .. .n | .. x- -- ..", "x- .x ..", ".. .x x-", "x- -x .. x- --"),
    arpeggio=("12 34 32 12", "12 34 32", "12 34 32 12 34"),
    tune=("x- .x xx x-", "xx xx x- --", ".x xx .x x-", "x- -- .x xx", "x- xx x-", "x- -x xx", "x- xx x- x- .."),
    instruments={
        "lead": ("saxophone", "jazz trumpet", "clarinet", "vibraphone"),
        "bass": ("upright bass", "bass"),
        "chords": ("piano", "jazz guitar", "hammond organ"),
        "pad": ("string ensemble", "brass section"),
        "drums": ("brushed jazz drums",),
        "counter": ("trombone", "jazz guitar", "clarinet"),
        "arpeggio": ("vibraphone", "piano"),
    },
)

BOSSA_NOVA = Genre(
    words=("bossa nova", "bossa", "samba", "brazilian"),
    tempo_bpm=(100, 150),
    metres={4: 1.0},
    voicing="rootless",
    strum_seconds=0.008,
    harmonies=(
        Harmony("major", 0.6, ("IM7 | IM7 | II7 | II7 | ii7 | V7 | IM7 | V7", "IM7 | vi7 | ii7 | V7"), "ii7 V7 | I6"),
        Harmony("minor", 0.4, ("i6 | i6 | iiø7 | V7", "i7 | iv7 | bVII7 | bIIIM7 | bVIM7 | iiø7 | V7 | i6"), "V7 | i6"),
    ),
    drums=(
        Drums(
            {"rim": "x. .x .. x. | .. x. .x ..", "hat": "xo xo xo xo", "kick": "x. .x x. .x"},
            {"rim": "x. .x .. x. | .. x. .x ..", "cabasa": "xo xo xo xo", "hat": ".. x. .. x.", "kick": "x. .x x. .x"},
            {"rim": "x.x. ..x.", "low_tom": "...x ...x", "kick": "x..x x..."},
        ),
    ),
    bass=("1- -5 5- -n", "1- -5 5- -a"),
    chords=("x. x. .x .. | .x .. x. .n", "x. .x .. x. | .. x. .x ..", "x- x- .x -. | .x -- x- .n"),
    arpeggio=("12 34 32 34",),
    tune=(".x xx -x x-", "x- -x x- x-", ".x -x -x x-", "x- -- -x xx"),
    instruments={
        "lead": ("flute", "saxophone", "nylon guitar"),
        "bass": ("upright bass", "bass guitar"),
        "chords": ("nylon guitar", "acoustic guitar", "electric piano"),
        "pad": ("string ensemble", "warm pad"),
        "drums": ("brushed jazz drums", "standard drum kit"),
        "counter": ("cello", "flute", "vibraphone"),
        "arpeggio": ("nylon guitar", "electric piano"),
    },
)

WALTZ = Genre(
    words=("waltz", "viennese waltz", "ballroom", "musette"),
    tempo_bpm=(90, 180),
    metres={3: 1.0},
    human_seconds=0.008,
    harmonies=(
        Harmony(
            "major",
            0.65,
            ("I | I | V7 | V7 | V7 | V7 | I | I", "I | vi | ii | V7", "I | I7 | IV | iv | I | V7 | I | V7"),
            "V7 | I",
        ),
        Harmony("harmonic minor", 0.35, ("i | i | iv | iv | V7 | V7 | i | V7", "i | V7 | V7 | i"), "V7 | i"),
    ),
    drums=(
        Drums(
            {"kick": "X. .. ..", "snare": ".. o. o.", "hat": ".. x. x."},
            {"kick": "X. .. ..", "snare": ".. o. oo", "hat": ".. x. x.", "triangle": "x. .. .."},
            {"snare": "o.o. ooxx"},
        ),
    ),
    bass=("1- .. .. | 5- .. ..", "1- -. .. | 5- -. .."),
    chords=(".. x. x.", ".. x- x."),
    arpeggio=("12 34 32", "13 24 32"),
    tune=("x- -- x-", "x- x- x-", "x- -x xx", "xx xx xx", "x- -- --", "x- -- .."),
    instruments={
        "lead": ("violin", "accordion", "clarinet"),
        "bass": ("upright bass", "cello"),
        "chords": ("accordion", "piano", "string ensemble"),
        "pad": ("string ensemble", "french horn"),
        "drums": ("orchestral percussion", "brushed jazz drums"),
        "counter": ("cello", "clarinet", "french horn"),
        "arpeggio": ("harp", "piano"),
    },
)

TECHNO = Genre(
    words=("techno", "minimal techno", "acid techno", "trance", "rave"),
    tempo_bpm=(122, 145),
    metres={4: 1.0},
    human_seconds=0.001,
    loudness=0.9,
    harmonies=(
        Harmony("minor", 0.6, ("i | i | i | i", "i | i | bVI | bVII", "i | i | bIII | bVII"), "bVII | i"),
        Harmony("phrygian", 0.25, ("i | i | bII | i",), "bII | i"),
        Harmony("dorian", 0.15, ("i7 | i7 | i7 | IV7",), "IV7 | i7"),
    ),
    drums=(
        Drums(
            {
                "kick": "X... X... X... X...",
                "open": "..x. ..x. ..x. ..x.",
                "hat": "o.oo o.oo o.oo o.oo",
                "clap": ".... x... .... x...",
            },
            {
                "kick": "X... X... X... X...",
                "open": "..x. ..x. ..x. ..x.",
                "hat": "xoxo xoxo xoxo xoxo",
                "rim": "...x ..x. ...x ..x.",
            },
            {"kick": "X... X...", "snare": "x.x. xxxX"},
        ),
    ),
    bass=("..1. ..1. ..1. ..11", ".111 .111 .111 .181", "1.1. 1.8. 1.1. 17.8"),
    chords=("x..x ..x. ...x ..x.", "..x. ..x. ..x. ..x.", "X--- .... .... ...."),
    arpeggio=("1234 2341 1234 4321", "1121 3121 1121 4321"),
    tune=("x.x. .x.x x.x. .x..", "x..x ..x. x..x ..x.", "x--- ..x. x--- ...."),
    instruments={
        "lead": ("synth lead", "square synth"),
        "bass": ("acid bass", "synth bass"),
        "chords": ("supersaw", "synth pad"),
        "pad": ("warm pad", "synth pad"),
        "drums": ("electronic drums", "808 drum machine"),
        "counter": ("square synth", "synth lead"),
        "arpeggio": ("square synth", "sawtooth synthesizer"),
    },
)

HOUSE = Genre(
    words=("house", "deep house", "dance music", "edm", "club"),
    tempo_bpm=(116, 130),
    metres={4: 1.0},
    swing=0.54,
    swung_pairs_per_beat=2,
    voicing="full",
    human_seconds=0.001,
    loudness=0.88,
    harmonies=(
        Harmony("minor", 0.6, ("i7 | bVIM7 | bIIIM7 | bVII", "i7 | i7 | iv7 | v7", "iv7 | v7 | i7 | i7"), "v7 | i7"),
        Harmony("major", 0.4, ("IM7 | iii7 | IVM7 | V", "vi7 | IVM7 | I | V"), "IVM7 | IM7"),
    ),
    drums=(
        Drums(
            {
                "kick": "X... X... X... X...",
                "clap": ".... x... .... x...",
                "open": "..x. ..x. ..x. ..x.",
                "hat": "...o ...o ...o ..?o",
            },
            {
                "kick": "X... X... X... X...",
                "clap": ".... x... .... x...",
                "open": "..x. ..x. ..x. ..x.",
                "maracas": "xoxo xoxo xoxo xoxo",
            },
            {"kick": "X... X...", "snare": "..x. x.xx", "clap": ".... X..."},
        ),
    ),
    bass=("..1- ..1- ..1- ..1.", "1..1 ..1. .1.. 8.5.", "1--. ..1. ..8. .1.."),
    chords=("x..x ..x. .... ..x.", "..x. ..x. ..x. ..x.", "x... ..x. ..x. ...."),
    arpeggio=("1.2. 3.4. 3.2. 3.4.", "1234 3212 1234 3234"),
    tune=("x..x ..x. x--- ....", "..x. x.x. ..x- --..", "x.x. x..x --x- ...."),
    instruments={
        "lead": ("synth lead", "electric piano", "saw lead"),
        "bass": ("synth bass", "moog bass"),
        "chords": ("electric piano", "piano", "supersaw"),
        "pad": ("warm pad", "string ensemble"),
        "drums": ("electronic drums", "808 drum machine"),
        "counter": ("synth lead", "flute"),
        "arpeggio": ("square synth", "marimba"),
    },
)

ROCK = Genre(
    words=("rock", "hard rock", "punk", "metal", "indie rock", "rock and roll", "pop rock"),
    tempo_bpm=(96, 168),
    metres={4: 0.92, 3: 0.08},
    voicing="power",
    strum_seconds=0.006,
    loudness=0.95,
    harmonies=(
        Harmony("major", 0.4, ("I | V | vi | IV", "I | IV | V | IV", "I | I | IV | V"), "IV V | I"),
        Harmony("mixolydian", 0.25, ("I | bVII | IV | I", "I | I | bVII | IV"), "bVII IV | I"),
        Harmony("minor", 0.35, ("i | bVI | bIII | bVII", "i | bVII | bVI | bVII", "i | i | iv | v"), "bVI bVII | i"),
    ),
    drums=(
        Drums(
            {"kick": "X. .. Xx ..", "snare": ".. X. .. X.", "hat": "xo xo xo xo"},
            {"kick": "X. .x Xx ..", "snare": ".. X. .. X.", "hat": "xo xo xo x.", "open": ".. .. .. .x"},
            {"snare": "X.x. ....", "high_tom": ".... xx..", "floor_tom": ".... ..xx", "kick": "x... x..."},
        ),
        Drums(
            {"kick": "X. .. .x", "snare": ".. X. X.", "hat": "xo xo xo"},
            {"kick": "X. .x ..", "snare": ".. X. X.", "hat": "xo xo xo"},
            {"snare": "xx.. ..xx", "high_tom": "..xx ....", "floor_tom": ".... xx..", "kick": "x... x..."},
        ),
    ),
    bass=("11 11 11 11", "1- -1 1- 15", "1. 11 .1 1a", "11 11 11"),
    chords=("xo xo xo xo", "X- -x -x x-", "X- -- -- --", "X. xx .x x.", "X- x- x-"),
    arpeggio=("12 34 32 34", "12 34 32"),
    tune=("x- xx x- x-", "xx xx x- --", "x- -- xx x-", ".x xx x- --", "x- x- xx", "x- -- x-"),
    instruments={
        "lead": ("distorted guitar", "rock guitar", "hammond organ"),
        "bass": ("electric bass", "bass guitar"),
        "chords": ("distorted guitar", "overdriven electric guitar", "clean electric guitar"),
        "pad": ("hammond organ", "string ensemble"),
        "drums": ("rock drum kit",),
        "counter": ("clean electric guitar", "distorted guitar"),
        "arpeggio": ("clean electric guitar", "piano"),
    },
)

FUNK = Genre(
    words=("funk", "funky", "soul", "r&b", "groove"),
    tempo_bpm=(88, 118),
    metres={4: 1.0},
    swing=0.53,
    swung_pairs_per_beat=2,
    voicing="rootless",
    strum_seconds=0.003,
    loudness=0.88,
    harmonies=(
        Harmony("dorian", 0.5, ("i7 | IV7 | i7 | IV7", "i7 | i7 | i7 | IV7"), "IV7 | i7"),
        Harmony("mixolydian", 0.35, ("I7 | I7 | I7 | I7", "I7 | I7 | IV7 | IV7"), "bVII IV7 | I7"),
        Harmony("major", 0.15, ("IM7 | vi7 | ii7 | V7", "IVM7 | iii7 | ii7 | V7"), "ii7 V7 | IM7"),
    ),
    drums=(
        Drums(
            {
                "kick": "X..x ..x. .x.. ..x.",
                "snare": "..o. X..o .o.o X..o",
                "hat": "xoxo xoxo xoxo xoxo",
            },
            {
                "kick": "X.x. ..x. ..x. .x..",
                "snare": ".o.. X..o .o.. X.o.",
                "hat": "x.x. x.x. x.x. x...",
                "open": ".... .... .... ..x.",
            },
            {"snare": "X.ox oxXx", "kick": "x..x ...."},
        ),
    ),
    bass=("1..x ..15 .x1. 7.8.", "1.1x ..8. x.7. 5..a", "1--. .x11 ..8x 7.5."),
    chords=("..x. .x.. ..x. .x.x", "x.oo x.ox .oX. x.oo", "...x .... ...x x..."),
    arpeggio=("1.23 .2.4 1.23 .4.2",),
    tune=("x.xx .x.x x--- ....", "..x. xx.x .x.x x-..", "x--x .x.. xx.x ...."),
    instruments={
        "lead": ("brass section", "saxophone", "synth lead"),
        "bass": ("fingered bass", "moog bass"),
        "chords": ("clavinet", "clean electric guitar", "rhodes"),
        "pad": ("string ensemble", "hammond organ"),
        "drums": ("standard drum kit", "rock drum kit"),
        "counter": ("trumpet", "horn section"),
        "arpeggio": ("clavinet", "rhodes"),
    },
)

REGGAE = Genre(
    words=("reggae", "dub", "ska", "dancehall", "roots reggae"),
    tempo_bpm=(66, 92),
    metres={4: 1.0},
    swing=0.58,
    swung_pairs_per_beat=2,
    human_seconds=0.007,
    harmonies=(
        Harmony("major", 0.5, ("I | I | IV | V", "I | V | vi | IV", "I | ii | I | ii"), "IV V | I"),
        Harmony("minor", 0.5, ("i | i | iv | i", "i | bVII | i | bVII", "i | iv | bVII | bIII"), "iv v | i"),
    ),
    drums=(
        Drums(  # one drop: nothing on one and three
            {"kick": ".... X... .... X...", "rim": ".... x... .... x...", "hat": "x.x. x.x. x.xo x.x."},
            {"kick": "x... X... x... X...", "rim": "...x x... ..x. x...", "hat": "x.x. x.x. x.x. x.x."},
            {"snare": "..xx x...", "timbale": "x... .xx.", "kick": ".... X..."},
        ),
    ),
    bass=(".... 1-1- 3.5- ..1.", "1-.. ..5. 1-.. 3.5.", "1-1. ..1- .... 5-3."),
    chords=("..x. ..x. ..x. ..x.", "..xo ..xo ..xo ..xo"),
    arpeggio=("..12 ..34 ..32 ..12",),
    tune=("x-x- x-.. x-x- --..", "..x- x-x- x--- ....", "x--- ..x- x-x- ...."),
    instruments={
        "lead": ("trombone", "hammond organ", "harmonica"),
        "bass": ("bass guitar", "electric bass"),
        "chords": ("hammond organ", "clean electric guitar", "piano"),
        "pad": ("electric organ", "brass section"),
        "drums": ("standard drum kit", "rock drum kit"),
        "counter": ("horn section", "saxophone"),
        "arpeggio": ("clean electric guitar", "clavinet"),
    },
)

HIP_HOP = Genre(
    words=("hip-hop", "hip hop", "rap", "boom bap", "lo-fi", "lofi", "trap"),
    tempo_bpm=(72, 98),
    metres={4: 1.0},
    swing=0.58,
    swung_pairs_per_beat=2,
    voicing="full",
    human_seconds=0.006,
    loudness=0.85,
    harmonies=(
        Harmony("minor", 0.6, ("i7 | i7 | iv7 | v7", "i | bVI | iv | V", "i7 | bVIM7 | i7 | bVIM7"), "iv7 v7 | i7"),
        Harmony("dorian", 0.25, ("i7 | IV7 | i7 | IV7",), "IV7 | i7"),
        Harmony("major", 0.15, ("IM7 | vi7 | ii7 | V7",), "ii7 V7 | IM7"),
    ),
    drums=(
        Drums(
            {"kick": "X..x ...x ..X. ....", "snare": ".... X... .... X..?", "hat": "x.x. x.x. x.x. x.xo"},
            {"kick": "X.x. ...x .xX. ....", "snare": ".... X..o .... X...", "hat": "xoxo x.x. xoxo x.xx"},
            {"kick": "X..x ..x.", "snare": "..x. X.xx", "hat": "xxxx ...."},
        ),
    ),
    bass=("1--. ...1 ..1- --5.", "1--- --.. ..8. 5.1.", "1... ..11 ...5 ..1."),
    chords=("x--- ---- .... ..x.", "x--. ..x- --.. ....", "x--- x--- x--- x---"),
    arpeggio=("1..2 ..3. .4.. 3.2.",),
    tune=("x.x. x--- ..x. x---", "..xx x.x. x--- ....", "x--x --x- ---- ...."),
    instruments={
        "lead": ("flute", "electric piano", "square synth"),
        "bass": ("synth bass", "upright bass"),
        "chords": ("rhodes", "piano", "jazz guitar"),
        "pad": ("warm pad", "string section"),
        "drums": ("808 drum machine", "electronic drums"),
        "counter": ("vibraphone", "trumpet"),
        "arpeggio": ("vibraphone", "nylon guitar"),
    },
)

AMBIENT = Genre(
    words=("ambient", "atmospheric", "drone", "new age", "cinematic ambient", "chill"),
    tempo_bpm=(60, 84),
    metres={4: 0.8, 3: 0.2},
    voicing="full",
    human_seconds=0.012,
    loudness=0.55,
    harmonies=(
        Harmony("major", 0.4, ("IM7 | IM7 | IVM7 | IVM7", "I | Vsus | vi7 | IVM7"), "IVM7 | I"),
        Harmony("lydian", 0.3, ("IM7 | II | IM7 | II",), "II | IM7"),
        Harmony("minor", 0.3, ("i7 | bVIM7 | bIIIM7 | bVII", "i | i | bVIM7 | bVIM7"), "bVII | i7"),
    ),
    drums=(
        Drums(
            {"kick": "o. .. .. .. | .. .. o. ..", "triangle": ".. .. .. ?. | .. .. .. ..", "maracas": ".o .. .o .?"},
            {"kick": "o. .. .. ..", "ride": ".. o. .. ?.", "maracas": ".o .. .o .."},
            {"low_tom": "..o. o.o.", "kick": "o... ...."},
            crash="ride",
        ),
        Drums(
            {"kick": "o. .. ..", "maracas": ".. .o .?"},
            {"kick": "o. .. ..", "ride": ".. o. ?."},
            {"low_tom": "..o. o.o."},
            crash="ride",
        ),
    ),
    bass=("1--- ---- ---- ----", "1--- ---- ---- 5---", "1--- ---- ----"),
    chords=("x--- ---- ---- ----", "x--- ---- x--- ----", "x--- ---- ----"),
    arpeggio=("1- 2- 3- 4-", "1. .3 .2 .4", "1- 3- 2-"),
    tune=("x--- ---- ---- x---", ".... x--- ---- ----", "x--- ---- x--- ----", "x--- ---- x---"),
    instruments={
        "lead": ("pan flute", "synth pad", "violin"),
        "bass": ("synth bass", "cello"),
        "chords": ("synth pad", "electric piano", "choir"),
        "pad": ("ambient pad", "dreamy pad", "string ensemble"),
        "drums": ("electronic drums", "orchestral percussion"),
        "counter": ("choir", "flute"),
        "arpeggio": ("celesta", "harp", "electric piano"),
    },
)

ORCHESTRAL = Genre(
    words=("orchestral", "classical", "symphonic", "film score", "cinematic", "orchestra"),
    tempo_bpm=(66, 140),
    metres={4: 0.55, 3: 0.3, 6: 0.15},
    human_seconds=0.010,
    loudness=0.75,
    harmonies=(
        Harmony(
            "major", 0.5, ("I | IV | V7 | I", "I | vi | IV | V", "I | V | vi | iii | IV | I | ii | V7"), "IV V7 | I"
        ),
        Harmony("harmonic minor", 0.5, ("i | iv | V7 | i", "i | bVI | iv | V7", "i | bVI | bIII | V"), "iv V7 | i"),
    ),
    drums=(
        Drums(
            {"kick": "X. .. .. ..", "snare": ".. .. oo o."},
            {"kick": "X. .. x. ..", "snare": ".. oo .. oo"},
            {"kick": "x... X...", "snare": "oooo xxXX"},
        ),
        Drums(
            {"kick": "X. .. ..", "snare": ".. .. o.", "triangle": ".. x. .."},
            {"kick": "X. .. ..", "snare": ".. oo o."},
            {"kick": "x... X...", "snare": "oooo xxXX"},
        ),
        Drums(
            {"kick": "X . . . . .", "snare": ". . o x . o"},
            {"kick": "X . . x . .", "snare": ". . o . o o"},
            {"kick": "x. ..", "snare": "oo xX"},
        ),
    ),
    bass=("1--- ---- 5--- ----", "1-.. 5-.. 1-.. 5-..", "1--- ---- 5---", "1 - - 5 - -"),
    chords=("x--- ---- x--- ----", "x.x. x.x. x.x. x.x.", ".... x... x...", "x--- ---- ----", ". x x . x x"),
    arpeggio=("1234 3234 1234 3234", "12 34 32 34", "12 34 32", "1 2 3 4 3 2"),
    tune=("x--- x-x- x--- ----", "x--x x-x- x--- x---", "x-x- x-x- x--- ----", "x- -- x-", "x- xx x-", "x - x x - -"),
    instruments={
        "lead": ("violin", "oboe", "french horn", "string ensemble"),
        "bass": ("cello", "upright bass"),
        "chords": ("string section", "brass section"),
        "pad": ("string orchestra", "choir", "french horn"),
        "drums": ("orchestral percussion",),
        "counter": ("french horn", "cello", "clarinet"),
        "arpeggio": ("harp", "pizzicato strings"),
    },
)

FOLK = Genre(
    words=("folk", "country", "bluegrass", "celtic", "irish", "singer-songwriter", "acoustic"),
    tempo_bpm=(84, 150),
    metres={4: 0.55, 3: 0.2, 6: 0.25},
    strum_seconds=0.010,
    human_seconds=0.008,
    harmonies=(
        Harmony("major", 0.55, ("I | IV | I | V", "I | I | IV | V7", "I | V | vi | IV"), "V7 | I"),
        Harmony("dorian", 0.25, ("i | bVII | i | bVII", "i | IV | i | v"), "bVII | i"),
        Harmony("mixolydian", 0.2, ("I | bVII | I | IV",), "bVII | I"),
    ),
    drums=(
        Drums(
            {"kick": "X. .. x. ..", "tambourine": "oo xo oo xo", "rim": ".. x. .. x."},
            {"kick": "X. .. x. .x", "tambourine": "oo xo oo xo", "snare": ".. o. .. oo"},
            {"kick": "x... x...", "snare": "o.oo x.xx"},
        ),
        Drums(
            {"kick": "X. .. ..", "tambourine": ".. x. x.", "rim": ".. .. x."},
            {"kick": "X. .. ..", "tambourine": ".. xo xo"},
            {"kick": "x... ....", "snare": "o.o. x.xx"},
        ),
        Drums(
            {"kick": "X . . x . .", "tambourine": "x o o x o o", "rim": ". . . x . ."},
            {"kick": "X . . x . o", "tambourine": "x o x x o x"},
            {"snare": "o x x", "kick": "x . ."},
        ),
    ),
    bass=("1- .. 5- ..", "1- .. 5- .a", "1- .. ..", "1- .. 5.", "1 . . 5 . ."),
    chords=("x. xo .o xo", ".. x. .. x.", "X. xo xo xo", "X. xo xo", "X . o x . o"),
    arpeggio=("13 24 13 24", "12 34 32 34", "13 24 32", "1 2 3 4 3 2"),
    tune=("x- xx x- xx", "xx xx xx x-", "x- x- x- --", "x- xx x-", "x- -- xx", "x x x x - x", "x - x x - -"),
    instruments={
        "lead": ("fiddle", "flute", "harmonica", "accordion"),
        "bass": ("upright bass", "bass guitar"),
        "chords": ("acoustic guitar", "banjo"),
        "pad": ("accordion", "string ensemble"),
        "drums": ("standard drum kit", "brushed jazz drums"),
        "counter": ("violin", "clarinet"),
        "arpeggio": ("banjo", "acoustic guitar", "celtic harp"),
    },
)

BLUES = Genre(
    words=("blues", "shuffle", "delta blues", "chicago blues", "boogie"),
    tempo_bpm=(60, 132),
    metres={4: 0.9, 6: 0.1},
    swing=0.66,
    voicing="full",
    human_seconds=0.009,
    harmonies=(
        Harmony(
            "mixolydian",
            0.75,
            (
                "I7 | I7 | I7 | I7 | IV7 | IV7 | I7 | I7 | V7 | IV7 | I7 | V7",
                "I7 | IV7 | I7 | I7 | IV7 | IV7 | I7 | VI7 | ii7 | V7 | I7 | V7",
            ),
            "V7 IV7 | I7",
        ),
        Harmony("dorian", 0.25, ("i7 | i7 | i7 | i7 | iv7 | iv7 | i7 | i7 | bVI | V7 | i7 | V7",), "V7 | i7"),
    ),
    drums=(
        Drums(
            {"ride": "x.x x.x x.x x.x", "kick": "X.. ... X.x ...", "snare": "... X.. ... X.."},
            {"hat": "xox xox xox xox", "kick": "X.. ..x X.. ...", "snare": "... X.. ..o X.o"},
            {"snare": "x.x xxx", "low_tom": "... ..x", "kick": "X.. ..."},
        ),
        Drums(
            {"hat": "x o o x o o", "kick": "X . . . . x", "snare": ". . . X . ."},
            {"hat": "x o o x o o", "kick": "X . x . . .", "snare": ". . . X . o"},
            {"snare": "x x X", "kick": "x . ."},
        ),
    ),
    bass=("1.1 3.3 5.5 7.5", "1- w- w- a-", "1.1 5.5 7.7 5.a", "1 - 1 5 - 3"),
    chords=("x.x x.x x.x x.x", "... x.. ... x..", "x-- ..x ... ...", "x - - x - x"),
    arpeggio=("123 432 123 432", "1 2 3 4 3 2"),
    tune=("x-x x-x x-- ...", "..x x-x x-x x--", "x-- --x x-x ...", "x x x x - -"),
    instruments={
        "lead": ("harmonica", "clean electric guitar", "saxophone"),
        "bass": ("upright bass", "bass guitar"),
        "chords": ("piano", "clean electric guitar", "hammond organ"),
        "pad": ("hammond organ", "horn section"),
        "drums": ("standard drum kit", "rock drum kit"),
        "counter": ("tenor saxophone", "jazz guitar"),
        "arpeggio": ("piano", "clean electric guitar"),
    },
)

SALSA = Genre(  # counted slowly: a bar here is two of the dancers'
    words=("salsa", "latin", "mambo", "cuban", "son", "cha-cha"),
    tempo_bpm=(78, 110),
    metres={4: 1.0},
    human_seconds=0.005,
    loudness=0.85,
    harmonies=(
        Harmony("minor", 0.6, ("i | iv | V7 | iv", "i | bVII | bVI | V7", "i iv | V7 i | i iv | V7 i"), "iv V7 | i"),
        Harmony("major", 0.4, ("I | IV | V7 | IV", "I vi | ii V7 | I vi | ii V7"), "ii V7 | I"),
    ),
    drums=(
        Drums(  # son clave, three and two
            {
                "claves": "x..x ..x. ..x. x...",
                "conga_mute": "x.x. x... x.x. x...",
                "conga": ".... ..xx .... ....",
                "low_conga": ".... .... .... ..xx",
                "cowbell": "X.x. x.x. X.x. x.x.",
                "kick": "x..x ..x. ...x ..x.",
            },
            {
                "claves": "x..x ..x. ..x. x...",
                "conga_mute": "x.x. x... x.x. x...",
                "conga": ".... ..xx .... ..xx",
                "maracas": "xoxo xoxo xoxo xoxo",
                "kick": "x..x ..x. ...x ..x.",
            },
            {"timbale": "x.xx .xxX", "kick": "x... x..."},
        ),
    ),
    bass=("1..5 --8- ---5 --n-", "1--5 --1- ---5 --n-"),
    chords=("x.x. xx.x .x.x .x.x", "x..x .x.x ..x. x.x."),
    arpeggio=("1.23 .4.3 .23. 4.32", "1.2. 34.2 .3.4 .3.2"),
    tune=("x..x ..x- --x. x...", "..x. x.x. x--- ..x.", "x.x. .x.x x--- ...."),
    instruments={
        "lead": ("trumpet", "trombone", "flute"),
        "bass": ("upright bass", "bass guitar"),
        "chords": ("piano",),
        "pad": ("brass section", "string ensemble"),
        "drums": ("standard drum kit",),
        "counter": ("horn section", "trombone"),
        "arpeggio": ("piano", "marimba"),
    },
)

DISCO = Genre(
    words=("disco", "nu disco", "seventies dance", "boogie disco"),
    tempo_bpm=(108, 130),
    metres={4: 1.0},
    voicing="full",
    strum_seconds=0.003,
    human_seconds=0.004,
    loudness=0.88,
    harmonies=(
        Harmony("minor", 0.6, ("i7 | iv7 | bVII | bIIIM7", "i | bVII | bVI | V7", "i7 | i7 | iv7 | iv7"), "v7 | i7"),
        Harmony("major", 0.4, ("I | vi7 | ii7 | V", "IM7 | IM7 | IVM7 | V7"), "ii7 V7 | I"),
    ),
    drums=(
        Drums(
            {
                "kick": "X... X... X... X...",
                "snare": ".... X... .... X...",
                "hat": "x.oo x.oo x.oo x.oo",
                "open": "..x. ..x. ..x. ..x.",
            },
            {
                "kick": "X... X... X... X...",
                "snare": ".... X... .... X..o",
                "open": "..x. ..x. ..x. ..x.",
                "tambourine": "oxox oxox oxox oxox",
            },
            {"kick": "X... X...", "snare": "x.xx xx..", "high_tom": ".... ..x.", "floor_tom": ".... ...x"},
        ),
    ),
    bass=("1.8. 1.8. 1.8. 1.8.", "1.81 .181 .181 .1a."),
    chords=("..x. ..x. ..x. ..x.", "x.xo .xo. x.xo .xo.", "x--- ..x. .x.. x..."),
    arpeggio=("1234 3232 1234 3232",),
    tune=("x-x- x--x --x- x-..", "..x- x-x- x--- ....", "x--- x--- xx-x --.."),
    instruments={
        "lead": ("string section", "synth lead", "brass section"),
        "bass": ("bass guitar", "synth bass"),
        "chords": ("clean electric guitar", "electric piano", "clavinet"),
        "pad": ("string section", "string ensemble"),
        "drums": ("standard drum kit", "electronic drums"),
        "counter": ("horn section", "violin"),
        "arpeggio": ("clavinet", "synth lead"),
    },
)

GENRES: Mapping[str, Genre] = {
    "jazz": JAZZ,
    "bossa nova": BOSSA_NOVA,
    "waltz": WALTZ,
    "techno": TECHNO,
    "house": HOUSE,
    "rock": ROCK,
    "funk": FUNK,
    "reggae": REGGAE,
    "hip-hop": HIP_HOP,
    "ambient": AMBIENT,
    "orchestral": ORCHESTRAL,
    "folk": FOLK,
    "blues": BLUES,
    "salsa": SALSA,
    "disco": DISCO,
}
