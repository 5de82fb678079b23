from engine.arranging.genre import Drums, Genre, Harmony

BOSSA_NOVA = Genre(
    words=("bossa nova", "bossa", "samba", "brazilian"),
    tempo_bpm=(100, 150),
    metres={4: 1.0},
    voicing="rootless",
    strum_seconds=0.008,
    harmonies=(
        Harmony(
            "major",
            0.6,
            ("IM7 | IM7 | II7 | II7 | ii7 | V7 | IM7 | V7", "IM7 | vi7 | ii7 | V7"),
            "ii7 V7 | I6",
        ),
        Harmony(
            "minor",
            0.4,
            ("i6 | i6 | iiø7 | V7", "i7 | iv7 | bVII7 | bIIIM7 | bVIM7 | iiø7 | V7 | i6"),
            "V7 | i6",
        ),
    ),
    drums=(
        Drums(
            {"rim": "x. .x .. x. | .. x. .x ..", "hat": "xo xo xo xo", "kick": "x. .x x. .x"},
            {
                "rim": "x. .x .. x. | .. x. .x ..",
                "cabasa": "xo xo xo xo",
                "hat": ".. x. .. x.",
                "kick": "x. .x x. .x",
            },
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
