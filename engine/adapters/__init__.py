"""Adapters: small files that change what a loaded model plays, read once and for all backends.

    files.py         adapter files: safetensors whose header says what they hold
    names.py         which layer and which factor does a tensor's name mean?
    lora.py          the one reader of LoRA files, whoever wrote them
    lora_settings.py what a file's header and its neighbours say of rank and alpha
    lycoris.py       LoHa, LoKr and DoRA as the nearest LoRA
    manager.py       AdapterManager: the interface of both backends
    graphs.py        backend: exported graphs, without torch
    modules.py       backend: torch modules
    kinds.py         the kinds of adapters on a torch module, for training, too
    soft_prompts.py  learned vectors among a text's embeddings

A file of which nothing fits the model is an error, and none is ever applied by half.
"""
