"""The rows of `stages.table` as torch modules, inputs and outputs in the table's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache

from engine.families.musicgen.components import Components
from engine.families.musicgen.conditions import encode_text
from engine.families.musicgen.stages import table


class TextEncoder(nn.Module):
    """Embedded words -> the decoder's text states."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        return encode_text(self.model, embedded, mask)


class CodecEncoder(nn.Module):
    """Samples -> codes."""

    def __init__(self, codec: Any) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, samples: Tensor) -> Tensor:
        embedded = self.codec.encoder(samples[:, None])
        return self.codec.quantizer.encode(
            embedded, self.codec.config.target_bandwidths[0]
        ).transpose(0, 1)


class CodecDecoder(nn.Module):
    """Codes -> samples."""

    def __init__(self, codec: Any) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, codes: Tensor) -> Tensor:
        return self.codec.decoder(self.codec.quantizer.decode(codes.transpose(0, 1)))[:, 0]


class Prefill(nn.Module):
    """The first steps and their condition -> the prediction after them, keys and values."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, tokens: Tensor, states: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        config = self.decoder.config
        memory = EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))
        answer = self.decoder(
            input_ids=tokens.flatten(0, 1),
            past_key_values=memory,
            use_cache=True,
            encoder_hidden_states=states,
            encoder_attention_mask=mask,
        )
        logits = answer.logits[:, -1].unflatten(0, tokens.shape[:2])
        halves = (memory.self_attention_cache, memory.cross_attention_cache)[
            : 1 if mask is None else 2
        ]
        return logits, *(
            part for half in halves for layer in half.layers for part in (layer.keys, layer.values)
        )


class Step(nn.Module):
    """One more step, keys and values -> the next prediction, and the new keys and values.

    transformers' cache concatenates old and new at every step, which soon moves as many bytes as
    the layers have weights. Here only the scores are concatenated. The modules have the
    checkpoint's names, by which a graph's layers are found.
    """

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = _StepDecoder(decoder)

    def forward(self, tokens: Tensor, position: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """`rest`: own keys and values; with cross-attention, the mask before, the words' after."""
        return self.decoder(tokens, position, *rest)


class _StepDecoder(nn.Module):
    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.model = _InnerModel(decoder.model.decoder)
        self.lm_heads = decoder.lm_heads

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        hidden, new = self.model(*given)
        return torch.stack([head(hidden) for head in self.lm_heads], dim=1), *new


class _InnerModel(nn.Module):
    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = _Layers(decoder)

    def forward(self, *given: Tensor) -> tuple[Tensor, list[Tensor]]:
        return self.decoder(*given)


class _Layers(nn.Module):
    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.embed_tokens, self.layer_norm = decoder.embed_tokens, decoder.layer_norm
        self.register_buffer("positions", decoder.embed_positions.weights, persistent=False)
        self.layers = nn.ModuleList(map(_Layer, decoder.layers))

    def forward(
        self, tokens: Tensor, position: Tensor, *rest: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """The state after all layers [B, H], and the new keys and values."""
        count = 2 * len(self.layers)
        own, words = (rest, ()) if len(rest) == count else (rest[1 : 1 + count], rest[1 + count :])
        hidden = sum(embed(tokens[:, codebook]) for codebook, embed in enumerate(self.embed_tokens))
        hidden = hidden + self.positions.index_select(0, position)
        is_past = (torch.arange(own[0].shape[2], device=tokens.device) < position)[None, None, None]
        is_word = rest[0][:, None, None] > 0 if words else None
        new: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            pair = slice(2 * index, 2 * index + 2)
            hidden, *mine = layer(hidden, own[pair], is_past, words[pair], is_word)
            new += mine
        return self.layer_norm(hidden)[:, 0], new


class _Layer(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.self_attn, self.self_attn_layer_norm = (
            _OwnAttention(layer.self_attn),
            layer.self_attn_layer_norm,
        )
        if hasattr(layer, "encoder_attn"):
            self.encoder_attn = _WordsAttention(layer.encoder_attn)
            self.encoder_attn_layer_norm = layer.encoder_attn_layer_norm
        self.fc1, self.fc2, self.final_layer_norm = layer.fc1, layer.fc2, layer.final_layer_norm
        self.activation = layer.activation_fn

    def forward(
        self,
        hidden: Tensor,
        own: Sequence[Tensor],
        is_past: Tensor,
        words: Sequence[Tensor],
        is_word: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[B, 1, H] after this layer, and its new key and value."""
        found, key, value = self.self_attn(self.self_attn_layer_norm(hidden), *own, is_past)
        hidden = hidden + found
        if words:
            hidden = hidden + self.encoder_attn(
                self.encoder_attn_layer_norm(hidden), *words, is_word
            )
        return (
            hidden + self.fc2(self.activation(self.fc1(self.final_layer_norm(hidden)))),
            key,
            value,
        )


class _OwnAttention(nn.Module):
    """Attention to the cached steps and to this one."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = attention.q_proj, attention.k_proj, attention.v_proj
        self.out_proj, self._heads = attention.out_proj, (attention.num_heads, attention.head_dim)
        self._scaling = attention.scaling

    def forward(
        self, normed: Tensor, keys: Tensor, values: Tensor, is_past: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = (
            each(normed).unflatten(2, self._heads).transpose(1, 2)
            for each in (self.q_proj, self.k_proj, self.v_proj)
        )
        query = query * self._scaling
        scores = torch.cat([_scores(query, keys, is_past), query @ key.transpose(2, 3)], dim=3)
        shares = scores.softmax(dim=3)
        found = shares[..., :-1] @ values + shares[..., -1:] * value
        return self.out_proj(found.transpose(1, 2).flatten(2)), key, value


class _WordsAttention(nn.Module):
    """Attention to the words. Without any, all count alike and their values are zero."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.q_proj, self.out_proj = attention.q_proj, attention.out_proj
        self._heads, self._scaling = (attention.num_heads, attention.head_dim), attention.scaling

    def forward(self, normed: Tensor, keys: Tensor, values: Tensor, is_word: Tensor) -> Tensor:
        query = self.q_proj(normed).unflatten(2, self._heads).transpose(1, 2) * self._scaling
        found = _scores(query, keys, is_word).softmax(dim=3) @ values
        return self.out_proj(found.transpose(1, 2).flatten(2))


def _scores(query: Tensor, keys: Tensor, counts: Tensor) -> Tensor:
    scores = query @ keys.transpose(2, 3)
    return scores.masked_fill(~counts, torch.finfo(scores.dtype).min)


def sizes_of(parts: Components) -> dict[str, int]:
    """The arguments of `stages.table` for a checkpoint."""
    config = parts.model.config
    return {
        "width": config.decoder.hidden_size,
        "text_width": parts.text_width,
        "layers": config.decoder.num_hidden_layers,
        "heads": config.decoder.num_attention_heads,
        "codebooks": config.decoder.num_codebooks,
        "tokens": config.decoder.vocab_size,
        "chroma_frames": config.chroma_length if parts.hears_melody else 0,
    }


def modules(parts: Components) -> dict[str, nn.Module]:
    """Stage name -> module, for every row of the checkpoint's table."""
    model = parts.model
    built = {
        "word_embedding": model.text_encoder.get_input_embeddings(),
        "text_encoder": TextEncoder(model),
        "codec_encoder": CodecEncoder(model.audio_encoder),
        "codec_decoder": CodecDecoder(model.audio_encoder),
        "prefill": Prefill(model.decoder),
        "step": Step(model.decoder),
    }
    if parts.hears_melody:
        built["melody"] = model.audio_enc_to_dec_proj
    assert set(built) == {stage.name for stage in table(**sizes_of(parts))}
    return {name: module.eval() for name, module in built.items()}
