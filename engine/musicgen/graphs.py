"""The rows of `stages.STAGES` and `stages.MELODY_STAGES` as torch modules, inputs and outputs in the table's order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache

from engine.musicgen.components import Components
from engine.musicgen.conditions import encoded_text
from engine.musicgen.stages import MELODY_STAGES, STAGES


class TextEncoder(nn.Module):
    """Embedded words -> what the decoder hears of them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        return encoded_text(self.model, embedded, mask)


class CodecEncoder(nn.Module):
    """Samples -> codes."""

    def __init__(self, codec: Any) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, samples: Tensor) -> Tensor:
        embedded = self.codec.encoder(samples[:, None])
        return self.codec.quantizer.encode(embedded, self.codec.config.target_bandwidths[0]).transpose(0, 1)


class CodecDecoder(nn.Module):
    """Codes -> samples."""

    def __init__(self, codec: Any) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, codes: Tensor) -> Tensor:
        return self.codec.decoder(self.codec.quantizer.decode(codes.transpose(0, 1)))[:, 0]


class Prefill(nn.Module):
    """The first steps and their condition -> the prediction after them, and the memory of them."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, tokens: Tensor, states: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        heard = {"encoder_hidden_states": states, "encoder_attention_mask": mask}
        logits, memory = _called(self.decoder, tokens, _empty(self.decoder), heard)
        if mask is None:
            return logits, *_stacked(memory.self_attention_cache)
        return logits, *_stacked(memory.self_attention_cache), *_stacked(memory.cross_attention_cache)


class Step(nn.Module):
    """One more step and the memory -> the next prediction, and what is new in the memory."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, tokens: Tensor, mask: Tensor, own_keys: Tensor, own_values: Tensor, words_keys: Tensor,
        words_values: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        memory = _filled(self.decoder, (own_keys, own_values), (words_keys, words_values))
        # the states themselves are not read again: their keys and values are in the memory
        states = words_keys.new_zeros((*mask.shape, self.decoder.config.hidden_size))
        heard = {"encoder_hidden_states": states, "encoder_attention_mask": mask}
        logits, memory = _called(self.decoder, tokens, memory, heard)
        return logits, *(part[..., -1:, :] for part in _stacked(memory.self_attention_cache))


class MelodyStep(nn.Module):
    """The same where the condition is the beginning of the sequence."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, tokens: Tensor, own_keys: Tensor, own_values: Tensor) -> tuple[Tensor, ...]:
        logits, memory = _called(self.decoder, tokens, _filled(self.decoder, (own_keys, own_values)), {})
        return logits, *(part[..., -1:, :] for part in _stacked(memory.self_attention_cache))


def modules(parts: Components) -> dict[str, nn.Module]:
    """Stage name -> module, for every row of the checkpoint's table."""
    model = parts.model
    built = {
        "word_embedding": model.text_encoder.get_input_embeddings(),
        "text_encoder": TextEncoder(model),
        "codec_encoder": CodecEncoder(model.audio_encoder),
        "codec_decoder": CodecDecoder(model.audio_encoder),
        "prefill": Prefill(model.decoder),
    }
    if parts.hears_melody:
        built |= {"melody": model.audio_enc_to_dec_proj, "step": MelodyStep(model.decoder)}
    else:
        built["step"] = Step(model.decoder)
    assert set(built) == {stage.name for stage in (MELODY_STAGES if parts.hears_melody else STAGES)}
    return {name: module.eval() for name, module in built.items()}


def _called(decoder: Any, tokens: Tensor, memory: Any, heard: dict[str, Tensor]) -> tuple[Tensor, Any]:
    """Prediction [B, K, V] after the last of the steps [B, K, S]."""
    answer = decoder(input_ids=tokens.flatten(0, 1), past_key_values=memory, use_cache=True, **heard)
    return answer.logits[:, -1].unflatten(0, tokens.shape[:2]), answer.past_key_values


def _empty(decoder: Any) -> EncoderDecoderCache:
    return EncoderDecoderCache(DynamicCache(config=decoder.config), DynamicCache(config=decoder.config))


def _filled(decoder: Any, *pairs: tuple[Tensor, Tensor]) -> EncoderDecoderCache:
    """The memory with the keys and values of its own steps, and of the words."""
    memory = _empty(decoder)
    for half, (keys, values) in zip((memory.self_attention_cache, memory.cross_attention_cache), pairs, strict=False):
        for layer in range(len(keys)):
            half.update(keys[layer], values[layer], layer)
    memory.is_updated = {layer: len(pairs) > 1 for layer in range(decoder.config.num_hidden_layers)}
    return memory


def _stacked(half: DynamicCache) -> tuple[Tensor, Tensor]:
    """Keys and values [layers, B, heads, steps, width]."""
    layers = half.layers
    return torch.stack([layer.keys for layer in layers]), torch.stack([layer.values for layer in layers])
