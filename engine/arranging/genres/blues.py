from engine.arranging.genre import Drums, Genre, Harmony

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
        Harmony(
            "dorian",
            0.25,
            ("i7 | i7 | i7 | i7 | iv7 | iv7 | i7 | i7 | bVI | V7 | i7 | V7",),
            "V7 | i7",
        ),
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
