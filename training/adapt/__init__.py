"""How does a folder of clips become a style?

`retimbre train run | methods | recipes | report | import | export`.

    families.py   which families can learn, which method works on which, and why the rest does not
    nano.py, audioldm2.py, musicgen.py, ace_step.py, stable_audio_3.py (the last two on flow.py)
                  a family as the loop wants it: clip -> features, batch -> loss, words -> sound
    methods.py    what is trained: LoRA, QLoRA, bottlenecks, prefixes, learned words, whole models
    config.py     every setting once, for YAML, flags and recipes
    loop.py       the steps: resume, validation, early stop, pause, samples to hear
    memory.py     what a run will need, measured on one batch before it starts
    preset.py     what comes out: a folder that the server loads
    convert.py    LoRA files of peft, diffusers, kohya and ComfyUI; several styles merged to one
    report.py     is it any good?

Rule 1: a family's file knows nothing of methods, a method nothing of families: they meet in
families.py.
Rule 2: what plays is what was learned: both are engine.adapters.
"""
