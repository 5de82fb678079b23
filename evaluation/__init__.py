"""Is it any good? Figures with definitions, and commands that print them beside their ceilings.

    metrics/     figures about sounds, and the judges: a small classifier each (ONNX, no torch)
    corpus/      scores, instruments and arrangements rendered by a sampler; recordings; results
    methods/     the models that are examined, and what they are compared with
    listening/   a blind test for people
    reporting/   what is found on the terminal, in JSON, in pictures, in docs/
    exams/       `retimbre eval NAME`, and the measurements behind docs/codec.md and docs/hearing.md

Rule 1: a room imports only from rooms above it in this list; listening and reporting know nothing
of each other.
Rule 2: metrics know nothing of the model under examination.
Rule 3: evaluation imports engine, never training.
"""
