from engine.arranging.genre import Drums, Genre, Harmony

HIP_HOP = Genre(
    words=("hip-hop", "hip hop", "rap", "boom bap", "lo-fi", "lofi", "trap"),
    tempo_bpm=(72, 98),
    metres={4: 1.0},
    swing=0.58,
    swung_pairs_per_beat=2,
    voicing="full",
    human_seconds=0.006,
    loudness=0.85,
    harmonies=(
        Harmony(
            "minor",
            0.6,
            ("i7 | i7 | iv7 | v7", "i | bVI | iv | V", "i7 | bVIM7 | i7 | bVIM7"),
            "iv7 v7 | i7",
        ),
        Harmony("dorian", 0.25, ("i7 | IV7 | i7 | IV7",), "IV7 | i7"),
        Harmony("major", 0.15, ("IM7 | vi7 | ii7 | V7",), "ii7 V7 | IM7"),
    ),
    drums=(
        Drums(
            {
                "kick": "X..x ...x ..X. ....",
                "snare": ".... X... .... X..?",
                "hat": "x.x. x.x. x.x. x.xo",
            },
            {
                "kick": "X.x. ...x .xX. ....",
                "snare": ".... X..o .... X...",
                "hat": "xoxo x.x. xoxo x.xx",
            },
            {"kick": "X..x ..x.", "snare": "..x. X.xx", "hat": "xxxx ...."},
        ),
    ),
    bass=("1--. ...1 ..1- --5.", "1--- --.. ..8. 5.1.", "1... ..11 ...5 ..1."),
    chords=("x--- ---- .... ..x.", "x--. ..x- --.. ....", "x--- x--- x--- x---"),
    arpeggio=("1..2 ..3. .4.. 3.2.",),
    tune=("x.x. x--- ..x. x---", "..xx x.x. x--- ....", "x--x --x- ---- ...."),
    instruments={
        "lead": ("flute", "electric piano", "square synth"),
        "bass": ("synth bass", "upright bass"),
        "chords": ("rhodes", "piano", "jazz guitar"),
        "pad": ("warm pad", "string section"),
        "drums": ("808 drum machine", "electronic drums"),
        "counter": ("vibraphone", "trumpet"),
        "arpeggio": ("vibraphone", "nylon guitar"),
    },
)
