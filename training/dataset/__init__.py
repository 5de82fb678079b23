"""Which recordings, cut how, described how, kept for what?

`retimbre data check | cut | caption | split | import`.

    clips.py     a clip and its caption; the list that a data folder keeps (metadata.jsonl)
    layouts.py   other people's folders: audiofolder, AudioCraft, ACE-Step, NAME.txt beside NAME.wav
    check.py     what is wrong with which file, and why
    near.py      the same music twice: copies at other levels, rates and places
    cut.py       clips of one length, at silences or beats; loudness by recording
    caption.py   tempo and key into words
    split.py     training, validation and test, never one recording in two of them
    cache.py     what a model made of a clip, kept until clip or model changes

Rule: no torch here. A folder that holds nothing usable is an error that says what was looked for
and what lies there.
"""
