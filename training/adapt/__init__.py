"""How does a folder of clips become a style?

`retimbre train run | methods | recipes | report | import | export | merge`.

cli.py, commands.py  the command line, and what its actions do
config.py            every setting once, for YAML, flags and recipes
recipes.py           named settings
families.py          which families learn, which method works on which, and why the rest does not
models/              each family as a run wants it
methods.py           what is trained: LoRA, QLoRA, bottlenecks, prefixes, words, whole models
examples.py          clips as features, and which of them stand in a batch
prepare.py           model, data and adapter put together
run.py, run_dir.py   one run on training.loop, and its folder
samples.py           what a style sounds like while it is learned
preset.py, card.py   what comes out: a folder that the server loads, with a model card
report.py            is it any good?
convert.py           LoRA files of peft, diffusers, kohya and ComfyUI; several styles merged to one

A family's file knows nothing of methods, a method nothing of families: they meet in families.py.
What plays is what was learned: both are engine.adapters.
"""
