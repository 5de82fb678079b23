from engine.arranging.genre import Drums, Genre, Harmony

JAZZ = Genre(
    words=("jazz", "swing", "bebop", "big band", "jazz trio", "jazz combo"),
    tempo_bpm=(90, 180),
    metres={4: 0.7, 3: 0.2, 5: 0.1},
    swing=0.65,
    voicing="rootless",
    human_seconds=0.008,
    harmonies=(
        Harmony(
            "major",
            0.5,
            (
                "ii7 | V7 | IM7 | VI7",
                "IM7 VI7 | ii7 V7 | iii7 VI7 | ii7 V7",
                "IM7 | IM7 | iv7 | bVII7 | IM7 | VI7 | ii7 | V7",
            ),
            "ii7 V7 | I6",
        ),
        Harmony(
            "minor",
            0.3,
            ("i6 | iiø7 V7 | i6 | iiø7 V7", "iv7 | bVII7 | bIIIM7 | bVIM7"),
            "iiø7 V7 | i6",
        ),
        Harmony("dorian", 0.2, ("i7 | i7 | i7 | IV7", "i7 | IV7 | i7 | IV7"), "IV7 | i7"),
    ),
    drums=(
        Drums(
            {
                "ride": "X. xx X. xx",
                "pedal": ".. x. .. x.",
                "kick": "o. o. o. o.",
                "snare": ".. .? .. .?",
            },
            {
                "ride": "X. xx X. xx",
                "pedal": ".. x. .. x.",
                "kick": "o. .. .x ..",
                "snare": ".? .. x. .o",
            },
            {"snare": "xox xoX", "high_tom": "... .x.", "kick": "x.. ..X"},
        ),
        Drums(
            {"ride": "X. xx x.", "pedal": ".. x. ..", "kick": "x. .. ..", "snare": ".. .? .o"},
            {"ride": "X. xx x.", "pedal": ".. x. ..", "kick": "x. .. .o", "snare": ".. .x .."},
            {"snare": "xox oxX", "low_tom": "... x..", "kick": "x.. ..."},
        ),
        Drums(
            {
                "ride": "X. xx x. X. xx",
                "pedal": ".. x. .. .. x.",
                "kick": "x. .. .. x. ..",
                "snare": ".. .. .o .. .?",
            },
            {
                "ride": "X. xx x. X. xx",
                "pedal": ".. x. .. .. x.",
                "kick": "x. .. .x .. ..",
                "snare": ".. .x .. x. .o",
            },
            {"snare": "xox xoX", "low_tom": "... x.x", "kick": "x.. ..."},
        ),
    ),
    bass=("1- w- w- a-", "1- -- 5- -a", "1- w- a-", "1- w- w- 5- a-"),
    chords=(
        "x- .x .. ..",
        ".. .X .. x-",
        "x. .x .. .n | .. x- -- ..",
        "x- .x ..",
        ".. .x x-",
        "x- -x .. x- --",
    ),
    arpeggio=("12 34 32 12", "12 34 32", "12 34 32 12 34"),
    tune=(
        "x- .x xx x-",
        "xx xx x- --",
        ".x xx .x x-",
        "x- -- .x xx",
        "x- xx x-",
        "x- -x xx",
        "x- xx x- x- ..",
    ),
    instruments={
        "lead": ("saxophone", "jazz trumpet", "clarinet", "vibraphone"),
        "bass": ("upright bass", "bass"),
        "chords": ("piano", "jazz guitar", "hammond organ"),
        "pad": ("string ensemble", "brass section"),
        "drums": ("brushed jazz drums",),
        "counter": ("trombone", "jazz guitar", "clarinet"),
        "arpeggio": ("vibraphone", "piano"),
    },
)
