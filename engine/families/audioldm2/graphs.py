"""The stages of `stages.STAGES` as torch modules, inputs and outputs in the table's order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from engine.families.audioldm2.ap_adapter import AdaptedUNet
from engine.families.audioldm2.audiomae import AudioMae
from engine.families.audioldm2.components import Components
from engine.families.audioldm2.stages import STAGES
from engine.families.shared.torch_runner import TorchRunner, build_runners


class ClapText(nn.Module):
    """Words -> CLAP's embedding, of length 1."""

    def __init__(self, clap: Any) -> None:
        super().__init__()
        self.clap = clap

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        embedding = self.clap(input_ids=input_ids, attention_mask=attention_mask).text_embeds
        return functional.normalize(embedding, dim=-1)


class T5Text(nn.Module):
    """Embedded words -> Flan-T5's tokens."""

    def __init__(self, t5: Any) -> None:
        super().__init__()
        self.t5 = t5

    def forward(self, embedded: Tensor, attention_mask: Tensor) -> Tensor:
        return self.t5(inputs_embeds=embedded, attention_mask=attention_mask).last_hidden_state


class Projection(nn.Module):
    """GPT-2's input: both encoders' results in a row, each between its learned start and end."""

    def __init__(self, projection: Any) -> None:
        super().__init__()
        self.projection = projection

    def forward(
        self, embedding: Tensor, tokens: Tensor, attention_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        one = attention_mask.new_ones((attention_mask.shape[0], 1))
        found = self.projection(
            embedding[:, None], tokens, attention_mask=one, attention_mask_1=attention_mask
        )
        return found.hidden_states, found.attention_mask


class LanguageModelStep(nn.Module):
    """The sequence so far -> the vector that follows it.

    GPT-2 runs without a cache: eight steps over some forty vectors cost less than one step of the
    UNet.
    """

    def __init__(self, gpt2: Any) -> None:
        super().__init__()
        self.gpt2 = gpt2

    def forward(self, sequence: Tensor, sequence_mask: Tensor) -> Tensor:
        answer = self.gpt2(inputs_embeds=sequence, attention_mask=sequence_mask, use_cache=False)
        return answer.last_hidden_state[:, -1]


class Denoiser(nn.Module):
    """One prediction of the noise.

    Alpha and the audio tokens are inputs, because they differ within a batch.
    """

    def __init__(self, unet: AdaptedUNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(
        self,
        latent: Tensor,
        time_embedding: Tensor,
        generated: Tensor,
        text: Tensor,
        text_mask: Tensor,
        audio: Tensor,
        audio_position: Tensor,
        audio_scale: Tensor,
    ) -> Tensor:
        if not torch.jit.is_tracing():  # torch.export must learn that all batches are equal
            for other in (
                time_embedding,
                generated,
                text,
                text_mask,
                audio,
                audio_position,
                audio_scale,
            ):
                torch._check(other.shape[0] == latent.shape[0])
            torch._check(text_mask.shape[1] == text.shape[1])
            torch._check(audio_position.shape[1] == audio.shape[1])
        # an adapter without rotary positions ignores them, and the exporter would drop the input
        audio = audio + 0.0 * audio_position[..., None]
        return self.unet(
            latent,
            time_embedding[:, 0],
            generated,
            text,
            text_mask,
            audio,
            audio_position,
            audio_scale,
            time_embedding=time_embedding,
        )


class VaeEncoder(nn.Module):
    """Log-mel -> the mean of its latent, scaled as the UNet knows it."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, mel: Tensor) -> Tensor:
        return self.vae.encode(mel[:, None]).latent_dist.mean * self.vae.config.scaling_factor


class VaeDecoder(nn.Module):
    """Latent as the UNet knows it -> log-mel."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latent: Tensor) -> Tensor:
        return self.vae.decode(latent / self.vae.config.scaling_factor, return_dict=False)[0][:, 0]


class Vocoder(nn.Module):
    """Log-mel -> samples, a few more than hop times frames."""

    def __init__(self, vocoder: Any) -> None:
        super().__init__()
        self.vocoder = vocoder

    def forward(self, mel: Tensor) -> Tensor:
        return self.vocoder(mel)


def modules(components: Components, audiomae: AudioMae) -> dict[str, nn.Module]:
    """Stage name -> module, for every row of STAGES."""
    built = {
        "clap_text": ClapText(components.clap),
        "word_embedding": components.t5.get_input_embeddings(),
        "t5_encoder": T5Text(components.t5),
        "projection": Projection(components.projection),
        "language_model": LanguageModelStep(components.language_model),
        "audio_encoder": audiomae,
        "unet": Denoiser(components.unet),
        "vae_encoder": VaeEncoder(components.vae),
        "vae_decoder": VaeDecoder(components.vae),
        "vocoder": Vocoder(components.vocoder),
    }
    assert set(built) == {stage.name for stage in STAGES}
    return {name: module.eval() for name, module in built.items()}


def runners(
    modules_by_stage: Mapping[str, nn.Module], device: str, dtypes: Mapping[str, torch.dtype] = {}
) -> dict[str, TorchRunner]:
    """A TorchRunner per stage; `dtypes` names stages that do not run in float32."""
    return build_runners(STAGES, modules_by_stage, device, dtypes)
