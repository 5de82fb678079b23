from engine.arranging.genre import Drums, Genre, Harmony

AMBIENT = Genre(
    words=("ambient", "atmospheric", "drone", "new age", "cinematic ambient", "chill"),
    tempo_bpm=(60, 84),
    metres={4: 0.8, 3: 0.2},
    voicing="full",
    human_seconds=0.012,
    loudness=0.55,
    harmonies=(
        Harmony("major", 0.4, ("IM7 | IM7 | IVM7 | IVM7", "I | Vsus | vi7 | IVM7"), "IVM7 | I"),
        Harmony("lydian", 0.3, ("IM7 | II | IM7 | II",), "II | IM7"),
        Harmony("minor", 0.3, ("i7 | bVIM7 | bIIIM7 | bVII", "i | i | bVIM7 | bVIM7"), "bVII | i7"),
    ),
    drums=(
        Drums(
            {
                "kick": "o. .. .. .. | .. .. o. ..",
                "triangle": ".. .. .. ?. | .. .. .. ..",
                "maracas": ".o .. .o .?",
            },
            {"kick": "o. .. .. ..", "ride": ".. o. .. ?.", "maracas": ".o .. .o .."},
            {"low_tom": "..o. o.o.", "kick": "o... ...."},
            crash="ride",
        ),
        Drums(
            {"kick": "o. .. ..", "maracas": ".. .o .?"},
            {"kick": "o. .. ..", "ride": ".. o. ?."},
            {"low_tom": "..o. o.o."},
            crash="ride",
        ),
    ),
    bass=("1--- ---- ---- ----", "1--- ---- ---- 5---", "1--- ---- ----"),
    chords=("x--- ---- ---- ----", "x--- ---- x--- ----", "x--- ---- ----"),
    arpeggio=("1- 2- 3- 4-", "1. .3 .2 .4", "1- 3- 2-"),
    tune=("x--- ---- ---- x---", ".... x--- ---- ----", "x--- ---- x--- ----", "x--- ---- x---"),
    instruments={
        "lead": ("pan flute", "synth pad", "violin"),
        "bass": ("synth bass", "cello"),
        "chords": ("synth pad", "electric piano", "choir"),
        "pad": ("ambient pad", "dreamy pad", "string ensemble"),
        "drums": ("electronic drums", "standard drum kit"),
        "counter": ("choir", "flute"),
        "arpeggio": ("celesta", "harp", "electric piano"),
    },
)
