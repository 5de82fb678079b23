from engine.arranging.genre import Drums, Genre, Harmony

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
    tune=(
        "x- xx x- xx",
        "xx xx xx x-",
        "x- x- x- --",
        "x- xx x-",
        "x- -- xx",
        "x x x x - x",
        "x - x x - -",
    ),
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
