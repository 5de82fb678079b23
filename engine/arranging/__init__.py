"""Notes for a stem that does not exist yet: what the words ask for, and what the arranger writes.

    region -> hearing: beats, bars, key, chords
           -> parts: notes of one role in one genre -> guide: a plain sound of them

    wording     what a text asks for, by the words of vocabulary: a sound, further stems, a genre
    genres/     one file a genre: tempo, harmony, patterns, instruments
    parts       with bass, chords, counter, drums; melody for tunes
    playing     with notation and scale: beneath all of them
    compose     whole pieces, by the same tables: the data factory's music
    guide       notes to sound

nano then plays the guide as it plays any region, on the instrument that was asked for. So a stem
holds nothing of its source, but lies on the source's beats and in its harmony. Numpy alone; nothing
here knows a network or a file.
"""
