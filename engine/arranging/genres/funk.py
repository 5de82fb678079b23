from engine.arranging.genre import Drums, Genre, Harmony

FUNK = Genre(
    words=("funk", "funky", "soul", "r&b", "groove"),
    tempo_bpm=(88, 118),
    metres={4: 1.0},
    swing=0.53,
    swung_pairs_per_beat=2,
    voicing="rootless",
    strum_seconds=0.003,
    loudness=0.88,
    harmonies=(
        Harmony("dorian", 0.5, ("i7 | IV7 | i7 | IV7", "i7 | i7 | i7 | IV7"), "IV7 | i7"),
        Harmony("mixolydian", 0.35, ("I7 | I7 | I7 | I7", "I7 | I7 | IV7 | IV7"), "bVII IV7 | I7"),
        Harmony("major", 0.15, ("IM7 | vi7 | ii7 | V7", "IVM7 | iii7 | ii7 | V7"), "ii7 V7 | IM7"),
    ),
    drums=(
        Drums(
            {
                "kick": "X..x ..x. .x.. ..x.",
                "snare": "..o. X..o .o.o X..o",
                "hat": "xoxo xoxo xoxo xoxo",
            },
            {
                "kick": "X.x. ..x. ..x. .x..",
                "snare": ".o.. X..o .o.. X.o.",
                "hat": "x.x. x.x. x.x. x...",
                "open": ".... .... .... ..x.",
            },
            {"snare": "X.ox oxXx", "kick": "x..x ...."},
        ),
    ),
    bass=("1..x ..15 .x1. 7.8.", "1.1x ..8. x.7. 5..a", "1--. .x11 ..8x 7.5."),
    chords=("..x. .x.. ..x. .x.x", "x.oo x.ox .oX. x.oo", "...x .... ...x x..."),
    arpeggio=("1.23 .2.4 1.23 .4.2",),
    tune=("x.xx .x.x x--- ....", "..x. xx.x .x.x x-..", "x--x .x.. xx.x ...."),
    instruments={
        "lead": ("brass section", "saxophone", "synth lead"),
        "bass": ("fingered bass", "moog bass"),
        "chords": ("clavinet", "clean electric guitar", "rhodes"),
        "pad": ("string ensemble", "hammond organ"),
        "drums": ("standard drum kit", "rock drum kit"),
        "counter": ("trumpet", "horn section"),
        "arpeggio": ("clavinet", "rhodes"),
    },
)
