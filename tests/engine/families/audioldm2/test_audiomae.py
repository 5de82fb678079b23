"""AudioMAE's converted checkpoints compute what the original computes."""

import argparse

import pytest
import torch
from safetensors.torch import save_file

from engine.families.audioldm2 import audiomae
from engine.families.audioldm2.convert import convert


class ReferenceEncoder(torch.nn.Module):
    """AudioMAE's encoder as in the original code, with fused qkv."""

    def __init__(self, width=16, depth=2, hidden=32, tokens=16 * 8):
        super().__init__()
        self.cls_token = torch.nn.Parameter(torch.randn(1, 1, width))
        self.pos_embed = torch.nn.Parameter(torch.randn(1, tokens + 1, width))
        self.patch_embed = torch.nn.ModuleDict({"proj": torch.nn.Conv2d(1, width, 16, 16)})
        self.blocks = torch.nn.ModuleList(
            torch.nn.ModuleDict(
                {
                    "norm1": torch.nn.LayerNorm(width, eps=1e-6),
                    "attn": torch.nn.ModuleDict(
                        {
                            "qkv": torch.nn.Linear(width, 3 * width),
                            "proj": torch.nn.Linear(width, width),
                        }
                    ),
                    "norm2": torch.nn.LayerNorm(width, eps=1e-6),
                    "mlp": torch.nn.ModuleDict(
                        {
                            "fc1": torch.nn.Linear(width, hidden),
                            "fc2": torch.nn.Linear(hidden, width),
                        }
                    ),
                }
            )
            for _ in range(depth)
        )
        self.norm = torch.nn.LayerNorm(width, eps=1e-6)

    def forward(self, fbank):
        x = (
            self.patch_embed["proj"](fbank[:, None]).flatten(2).transpose(1, 2)
            + self.pos_embed[:, 1:]
        )
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        x = torch.cat([cls, x], dim=1)
        for block in self.blocks:  # one head
            query, key, value = block["attn"]["qkv"](block["norm1"](x)).chunk(3, dim=-1)
            scores = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
            x = x + block["attn"]["proj"](scores @ value)
            mlp = block["mlp"]
            x = x + mlp["fc2"](torch.nn.functional.gelu(mlp["fc1"](block["norm2"](x))))
        return self.norm(x)[:, 1:]


@pytest.fixture
def reference():
    torch.manual_seed(0)
    return ReferenceEncoder()


def original_checkpoint(reference):
    """What AudioMAE's misc.save_model writes."""
    state = dict(reference.state_dict())
    state |= {
        "mask_token": torch.zeros(1, 1, 4),
        "decoder_blocks.0.norm1.weight": torch.zeros(4),
        "decoder_pos_embed": torch.zeros(1, 2, 4),
        "decoder_embed.weight": torch.zeros(4, 16),
    }
    arguments = argparse.Namespace(batch_size=8, lr=2e-4, output_dir="out", blr=None, mask_2d=True)
    return {
        "model": state,
        "optimizer": {"state": {}, "param_groups": []},
        "epoch": 31,
        "scaler": {"scale": 1.0},
        "args": arguments,
    }


def timm_checkpoint(reference):
    """The port pools after the transformer, so timm calls the last norm fc_norm."""
    state = reference.state_dict()
    return {
        name.replace("norm.", "fc_norm.") if name.startswith("norm.") else name: value.contiguous()
        for name, value in state.items()
    }


@pytest.mark.parametrize("kind", ["original", "timm"])
def test_a_converted_checkpoint_hears_what_the_original_hears(kind, reference, tmp_path):
    if kind == "original":
        source = tmp_path / "pretrained.pth"
        torch.save(original_checkpoint(reference), source)
    else:
        source = tmp_path / "model.safetensors"
        save_file(timm_checkpoint(reference), str(source))
    told = convert(source, tmp_path / "audiomae.safetensors")
    assert told.startswith("AudioMAE encoder")
    model = audiomae.read(tmp_path / "audiomae.safetensors")
    fbank = torch.randn(2, 256, 128)
    torch.testing.assert_close(model(fbank), reference(fbank), atol=1e-5, rtol=1e-4)


def test_the_published_encoder_has_the_published_size():
    with torch.device("meta"):
        model = audiomae.AudioMae()
    assert sum(parameter.numel() for parameter in model.parameters()) == 85_648_128
    assert (model.frames, model.grid) == (1024, (64, 8))
