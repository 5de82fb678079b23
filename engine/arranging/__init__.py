"""Notes for a stem that does not exist yet: what is heard, what the arranger writes, how it first
sounds.

    region -> hearing: beats, bars, key, chords -> parts: notes of one role in one genre -> guide: a plain sound of them

    lead        the tune of a region, taken out of what is beside it
    wording     what a text asks for: another sound, further stems, another genre
    hearing     with beats, bars, pitches, harmony: the grid of a region
    genres/     one file a genre: tempo, harmony, patterns, instruments
    parts       with bass, chords, counter, drums; melody for tunes; playing, notation, scale beneath them
    compose     whole pieces, by the same tables: the data factory's music
    guide       notes to sound
    music       notes, chords, keys, the grid: the words that all of these speak

nano then plays the guide as it plays any region, on the instrument that was asked for. So a stem
holds nothing of its source, lies on the source's beats and in its harmony. numpy alone; nothing
here knows a network or a file.
"""
