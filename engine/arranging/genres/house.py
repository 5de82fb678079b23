from engine.arranging.genre import Drums, Genre, Harmony

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
        Harmony(
            "minor",
            0.6,
            ("i7 | bVIM7 | bIIIM7 | bVII", "i7 | i7 | iv7 | v7", "iv7 | v7 | i7 | i7"),
            "v7 | i7",
        ),
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
