from engine.arranging.genre import Drums, Genre, Harmony

WALTZ = Genre(
    words=("waltz", "viennese waltz", "ballroom", "musette"),
    tempo_bpm=(90, 180),
    metres={3: 1.0},
    human_seconds=0.008,
    harmonies=(
        Harmony(
            "major",
            0.65,
            (
                "I | I | V7 | V7 | V7 | V7 | I | I",
                "I | vi | ii | V7",
                "I | I7 | IV | iv | I | V7 | I | V7",
            ),
            "V7 | I",
        ),
        Harmony(
            "harmonic minor",
            0.35,
            ("i | i | iv | iv | V7 | V7 | i | V7", "i | V7 | V7 | i"),
            "V7 | i",
        ),
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
        "drums": ("brushed jazz drums", "standard drum kit"),
        "counter": ("cello", "clarinet", "french horn"),
        "arpeggio": ("harp", "piano"),
    },
)
