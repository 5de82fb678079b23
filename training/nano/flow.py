"""The flow from noise to latents that nano learns, and what it does without now and then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine.families.nano.model import pool, time_embedding

OMEGAS, OMEGA_WEIGHTS = (1, 2, 4, 8), (0.7, 0.14, 0.08, 0.08)  # of pooling, drawn for each batch
DROP_TEXT, DROP_AUDIO, DROP_BOTH = 0.08, 0.05, 0.05
SAME_INSTRUMENT = 0.06  # now and then the source already is what is asked for
ENCODED = nn.Identity()  # for batches whose audio is encoded already


def flow_loss(
    denoiser: nn.Module, batch: Mapping[str, Any], audio_encoder: nn.Module = ENCODED
) -> dict[str, Tensor]:
    """The error of the velocity at logit-normal times (Esser et al. 2024).

    `loss` is the mean over the batch, `with_audio` the mean over the rows that hear their audio.
    """
    latent = batch["latent"]
    time = torch.sigmoid(torch.randn(len(latent))).to(latent.device)
    noise = torch.randn(latent.shape).to(latent.device)
    blend = time[:, None, None]
    with torch.autocast(latent.device.type, torch.bfloat16):
        audio, position = pool(audio_encoder(batch["heard"]), batch["omega"])
        velocity = denoiser(
            (1 - blend) * noise + blend * latent,
            time_embedding(time),
            batch["text"],
            batch["text_bias"],
            audio,
            position.float(),
            batch["audio_scale"],
        )
    error = (velocity.float() - (latent - noise)).square().mean((1, 2))
    guided = batch["audio_scale"] > 0
    return {"loss": error.mean(), "with_audio": error[guided].mean()}
