from engine.arranging.genre import Drums, Genre, Harmony

REGGAE = Genre(
    words=("reggae", "dub", "ska", "dancehall", "roots reggae"),
    tempo_bpm=(66, 92),
    metres={4: 1.0},
    swing=0.58,
    swung_pairs_per_beat=2,
    human_seconds=0.007,
    harmonies=(
        Harmony("major", 0.5, ("I | I | IV | V", "I | V | vi | IV", "I | ii | I | ii"), "IV V | I"),
        Harmony(
            "minor",
            0.5,
            ("i | i | iv | i", "i | bVII | i | bVII", "i | iv | bVII | bIII"),
            "iv v | i",
        ),
    ),
    drums=(
        Drums(  # one drop: nothing on one and three
            {
                "kick": ".... X... .... X...",
                "rim": ".... x... .... x...",
                "hat": "x.x. x.x. x.xo x.x.",
            },
            {
                "kick": "x... X... x... X...",
                "rim": "...x x... ..x. x...",
                "hat": "x.x. x.x. x.x. x.x.",
            },
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
