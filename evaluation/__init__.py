"""Is it any good? Figures with definitions, and scripts that print them beside their ceilings.

    metrics.py   small functions on two sounds; definitions and sources in their docstrings
    judge.py     which instrument is it? a small classifier (ONNX, no torch)
    distributions.py, embeddings.py    figures about two sets of sounds; sounds as vectors
    catalogue.py one row for every figure
    folder.py    `retimbre eval folder`: all figures of anybody's results
    compare.py, baselines.py    `retimbre eval compare`: several methods edit the same sources
    listen.py, listening/    `retimbre eval listen`: a blind test for people
    timbre.py    `retimbre eval timbre`: the whole examination of timbre transfer
    accompaniment.py, genre.py   `retimbre eval accompaniment|genre`: further stems, other genres
    musical.py   key, beat, tempo, and what of its source a stem holds
    arrangements.py  the arranger's pieces, truly played
    codec.py, spectra.py     the codec alone: docs/codec.md
    hearing.py   beats, bars, keys and chords that the arranger hears: docs/hearing.md
    page.py      measured tables between marks in docs/

Rule 1: metrics and judge know nothing of the model under examination.
Rule 2: only the examination scripts (timbre, accompaniment, genre, hearing, codec, compare) sit
above engine and training and import them.
"""
