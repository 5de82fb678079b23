"""A tokenizer of single letters, saved as a repository has it."""

from __future__ import annotations

import string
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

LETTERS = ["<pad>", "<eos>", "<unk>", *string.ascii_letters, *string.digits, *" .,:;#-|<>_/[]()'\n"]


def write_tokenizer(folder: Path, longest: int = 2048) -> Path:
    """Any text becomes one number a letter; what is no letter is unknown."""
    bare = Tokenizer(
        models.WordLevel({letter: index for index, letter in enumerate(LETTERS)}, unk_token="<unk>")
    )
    bare.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    words = PreTrainedTokenizerFast(
        tokenizer_object=bare,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        model_max_length=longest,
    )
    words.save_pretrained(folder)
    return folder
