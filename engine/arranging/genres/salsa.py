from engine.arranging.genre import Drums, Genre, Harmony

SALSA = Genre(  # counted slowly: a bar here is two of the dancers'
    words=("salsa", "latin", "mambo", "cuban", "son", "cha-cha"),
    tempo_bpm=(78, 110),
    metres={4: 1.0},
    human_seconds=0.005,
    loudness=0.85,
    harmonies=(
        Harmony(
            "minor",
            0.6,
            ("i | iv | V7 | iv", "i | bVII | bVI | V7", "i iv | V7 i | i iv | V7 i"),
            "iv V7 | i",
        ),
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
