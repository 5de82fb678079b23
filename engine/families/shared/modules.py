"""Which torch modules do the stages of several families share?"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class TextEncoder(nn.Module):
    """Tokens [B, L] and their mask -> the text encoder's states [B, L, width]."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        answer = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        return answer.last_hidden_state
