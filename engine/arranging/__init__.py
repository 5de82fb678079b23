"""Notes for a stem that does not exist yet: what is heard, what the arranger writes, how it first sounds.

    region -> hearing: beats, bars, key, chords -> parts: notes of one role in one genre -> guide: a plain sound of them

nano then plays the guide as it plays any region, on the instrument that was asked for. So a stem holds nothing of its
source, lies on the source's beats and in its harmony. `compose` writes whole pieces by the same tables: the data
factory's music. numpy alone; nothing here knows a network or a file.
"""
