"""What a musician hears in a region: notes, beats, bars, key, chords, tempo."""
