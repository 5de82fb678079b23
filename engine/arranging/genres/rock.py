from engine.arranging.genre import Drums, Genre, Harmony

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
        Harmony(
            "minor",
            0.35,
            ("i | bVI | bIII | bVII", "i | bVII | bVI | bVII", "i | i | iv | v"),
            "bVI bVII | i",
        ),
    ),
    drums=(
        Drums(
            {"kick": "X. .. Xx ..", "snare": ".. X. .. X.", "hat": "xo xo xo xo"},
            {
                "kick": "X. .x Xx ..",
                "snare": ".. X. .. X.",
                "hat": "xo xo xo x.",
                "open": ".. .. .. .x",
            },
            {
                "snare": "X.x. ....",
                "high_tom": ".... xx..",
                "floor_tom": ".... ..xx",
                "kick": "x... x...",
            },
        ),
        Drums(
            {"kick": "X. .. .x", "snare": ".. X. X.", "hat": "xo xo xo"},
            {"kick": "X. .x ..", "snare": ".. X. X.", "hat": "xo xo xo"},
            {
                "snare": "xx.. ..xx",
                "high_tom": "..xx ....",
                "floor_tom": ".... xx..",
                "kick": "x... x...",
            },
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
