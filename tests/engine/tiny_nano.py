"""nano with the real signatures and random weights of a few kilobytes, exported from torch.

Never shipped.
"""

from __future__ import annotations

import json
from pathlib import Path

WORDS = ("turn", "this", "into", "a", "violin", "flute", "piano", "warm", "bright")
_files: dict[str, bytes] = {}  # the same each time; the exporter takes seconds, and many tests ask


def write_weights(folder: Path) -> Path:
    """The files that NanoFamily.load wants."""
    if not _files:
        _files.update({path.name: path.read_bytes() for path in _export(folder).iterdir()})
    for name, content in _files.items():
        (folder / name).write_bytes(content)
    return folder


def _export(folder: Path) -> Path:
    import torch

    from engine.families.nano.model import (
        AudioEncoder,
        CodecEncoder,
        Denoiser,
        LatentDecoder,
        NanoConfig,
    )
    from engine.families.nano.stages import STAGES
    from export.onnx_graph import export_stage

    torch.manual_seed(0)
    config = NanoConfig(
        width=32,
        heads=2,
        layers=1,
        encoder_layers=1,
        codec_width=32,
        codec_layers=1,
        decoder_width=32,
        decoder_slow_layers=3,
        decoder_fast_layers=6,
    )
    modules = {
        "text_encoder": _Text(),
        "codec_encoder": CodecEncoder(config),
        "audio_encoder": AudioEncoder(config),
        "denoiser": _awake(Denoiser(config)),
        "latent_decoder": LatentDecoder(config),
    }
    for stage in STAGES:
        arguments = tuple(_example(port, config.width) for port in stage.inputs)
        names = list(stage.input_names), list(stage.output_names)
        export_stage(
            modules[stage.name],
            arguments,
            folder / f"{stage.name}.onnx",
            *names,
            stage.dynamic_axes,
        )
    (folder / "config.json").write_text(json.dumps({"defaults": {"steps": 2}}), encoding="utf-8")
    _tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def _Text():  # noqa: N802 (a class that exists only where torch does)
    import torch

    class Text(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(len(WORDS) + 1, 384)

        def forward(self, input_ids, attention_mask):
            return self.table(input_ids) * attention_mask[..., None]

    return Text()


def _awake(denoiser):
    """The real one begins at velocity 0; give it something to say."""
    import torch

    torch.nn.init.normal_(denoiser.out.weight, std=0.1)
    return denoiser


def _example(port, width):
    import torch

    sizes = {"B": 2, "T": 12, "L": 5, "A": 6, "F": 48}
    audio = port.name == "audio"  # as wide as the model, 384 in the shipped one
    shape = [
        width if audio and index == 2 else sizes.get(axis, axis)
        for index, axis in enumerate(port.axes)
    ]
    if port.dtype == "int64":
        return torch.ones(shape, dtype=torch.int64)
    return torch.randn(shape)


def _tokenizer():
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    words = {"[UNK]": 0, **{word: index + 1 for index, word in enumerate(WORDS)}}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    # like the real one, the empty text still has two tokens
    tokenizer.post_processor = TemplateProcessing(
        single="[UNK] $A [UNK]", special_tokens=[("[UNK]", 0)]
    )
    return tokenizer
