from engine.arranging.genre import Drums, Genre, Harmony

TECHNO = Genre(
    words=("techno", "minimal techno", "acid techno", "trance", "rave"),
    tempo_bpm=(122, 145),
    metres={4: 1.0},
    human_seconds=0.001,
    loudness=0.9,
    harmonies=(
        Harmony(
            "minor", 0.6, ("i | i | i | i", "i | i | bVI | bVII", "i | i | bIII | bVII"), "bVII | i"
        ),
        Harmony("phrygian", 0.25, ("i | i | bII | i",), "bII | i"),
        Harmony("dorian", 0.15, ("i7 | i7 | i7 | IV7",), "IV7 | i7"),
    ),
    drums=(
        Drums(
            {
                "kick": "X... X... X... X...",
                "open": "..x. ..x. ..x. ..x.",
                "hat": "o.oo o.oo o.oo o.oo",
                "clap": ".... x... .... x...",
            },
            {
                "kick": "X... X... X... X...",
                "open": "..x. ..x. ..x. ..x.",
                "hat": "xoxo xoxo xoxo xoxo",
                "rim": "...x ..x. ...x ..x.",
            },
            {"kick": "X... X...", "snare": "x.x. xxxX"},
        ),
    ),
    bass=("..1. ..1. ..1. ..11", ".111 .111 .111 .181", "1.1. 1.8. 1.1. 17.8"),
    chords=("x..x ..x. ...x ..x.", "..x. ..x. ..x. ..x.", "X--- .... .... ...."),
    arpeggio=("1234 2341 1234 4321", "1121 3121 1121 4321"),
    tune=("x.x. .x.x x.x. .x..", "x..x ..x. x..x ..x.", "x--- ..x. x--- ...."),
    instruments={
        "lead": ("synth lead", "square synth"),
        "bass": ("acid bass", "synth bass"),
        "chords": ("supersaw", "synth pad"),
        "pad": ("warm pad", "synth pad"),
        "drums": ("electronic drums", "808 drum machine"),
        "counter": ("square synth", "synth lead"),
        "arpeggio": ("square synth", "sawtooth synthesizer"),
    },
)
