from engine.arranging.genre import Drums, Genre, Harmony

ORCHESTRAL = Genre(
    words=("orchestral", "classical", "symphonic", "film score", "cinematic", "orchestra"),
    tempo_bpm=(66, 140),
    metres={4: 0.55, 3: 0.3, 6: 0.15},
    human_seconds=0.010,
    loudness=0.75,
    harmonies=(
        Harmony(
            "major",
            0.5,
            ("I | IV | V7 | I", "I | vi | IV | V", "I | V | vi | iii | IV | I | ii | V7"),
            "IV V7 | I",
        ),
        Harmony(
            "harmonic minor",
            0.5,
            ("i | iv | V7 | i", "i | bVI | iv | V7", "i | bVI | bIII | V"),
            "iv V7 | i",
        ),
    ),
    drums=(
        Drums(
            {"kick": "X. .. .. ..", "snare": ".. .. oo o."},
            {"kick": "X. .. x. ..", "snare": ".. oo .. oo"},
            {"kick": "x... X...", "snare": "oooo xxXX"},
            crash="cymbal",
        ),
        Drums(
            {"kick": "X. .. ..", "snare": ".. .. o.", "triangle": ".. x. .."},
            {"kick": "X. .. ..", "snare": ".. oo o."},
            {"kick": "x... X...", "snare": "oooo xxXX"},
            crash="cymbal",
        ),
        Drums(
            {"kick": "X . . . . .", "snare": ". . o x . o"},
            {"kick": "X . . x . .", "snare": ". . o . o o"},
            {"kick": "x. ..", "snare": "oo xX"},
            crash="cymbal",
        ),
    ),
    bass=("1--- ---- 5--- ----", "1-.. 5-.. 1-.. 5-..", "1--- ---- 5---", "1 - - 5 - -"),
    chords=(
        "x--- ---- x--- ----",
        "x.x. x.x. x.x. x.x.",
        ".... x... x...",
        "x--- ---- ----",
        ". x x . x x",
    ),
    arpeggio=("1234 3234 1234 3234", "12 34 32 34", "12 34 32", "1 2 3 4 3 2"),
    tune=(
        "x--- x-x- x--- ----",
        "x--x x-x- x--- x---",
        "x-x- x-x- x--- ----",
        "x- -- x-",
        "x- xx x-",
        "x - x x - -",
    ),
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
