from engine.arranging.genre import Drums, Genre, Harmony

DISCO = Genre(
    words=("disco", "nu disco", "seventies dance", "boogie disco"),
    tempo_bpm=(108, 130),
    metres={4: 1.0},
    voicing="full",
    strum_seconds=0.003,
    human_seconds=0.004,
    loudness=0.88,
    harmonies=(
        Harmony(
            "minor",
            0.6,
            ("i7 | iv7 | bVII | bIIIM7", "i | bVII | bVI | V7", "i7 | i7 | iv7 | iv7"),
            "v7 | i7",
        ),
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
            {
                "kick": "X... X...",
                "snare": "x.xx xx..",
                "high_tom": ".... ..x.",
                "floor_tom": ".... ...x",
            },
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
