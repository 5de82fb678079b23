"""Runs to release: averaged weights become the graphs, tokenizer and config that the server ships.

    python -m training.nano.release --codec runs/codec --transformer runs/transformer \
        --out engine/families/nano/weights

Several transformers, such as snapshots of one run, become their mean (Wortsman et al. 2022, "Model
soups"). Each graph is compared with its torch module before it is kept; the figures stand in
config.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine.families.nano import features as F
from engine.families.nano.model import TEXT_WIDTH, TIME_WIDTH, LatentDecoder, NanoConfig
from engine.families.nano.stages import STAGES
from export.onnx_graph import export_stage, shrink
from presets.files import file_sha256
from training.loop import load_average, steps_done
from training.nano.codec import AdversarialCodec, FeatureCodec, adversarial_folder
from training.nano.phrases import sentence_encoder_folder
from training.nano.transformer import Transformer

# Relative error (of the root mean square) that storing weights as int8 may cost a stage.
# The decoder's is looser: its phase is an angle, of which only the sine and cosine matter.
ERROR_BOUND = {
    "text_encoder": 0.06,
    "codec_encoder": 0.05,
    "audio_encoder": 0.05,
    "denoiser": 0.05,
    "latent_decoder": 0.08,
}


class SentenceEncoder(nn.Module):
    """BERT without a pooler, plain tensors in and out."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import BertModel

        # "eager": the fused attention does not trace with a dynamic length
        self.bert = BertModel.from_pretrained(
            sentence_encoder_folder(), add_pooling_layer=False, attn_implementation="eager"
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def modules(codec: Path, transformers: list[Path]) -> dict[str, nn.Module]:
    """Stage name -> trained module, averaged weights."""
    config = NanoConfig()
    # Half-way to the adversarial one attacks are nearly as sharp, and spectra are nearer to the
    # true ones than either's.
    decoders = [
        load_average(codec / "decoder", LatentDecoder(config)),
        load_average(adversarial_folder(codec), AdversarialCodec(config)).decoder,
    ]
    both = mean([load_average(folder, Transformer(config)) for folder in transformers])
    return {
        "text_encoder": SentenceEncoder(),
        "codec_encoder": load_average(codec / "encoder", FeatureCodec(config)).encoder,
        "audio_encoder": both.audio_encoder,
        "denoiser": both.denoiser,
        "latent_decoder": mean(decoders),
    }


def mean(trained: list[nn.Module]) -> nn.Module:
    """A module whose weights are the mean of several of the same shape."""
    states = [module.state_dict() for module in trained]
    blend = {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    trained[0].load_state_dict(blend)
    return trained[0]


def example_inputs(
    width: int, batch: int = 2, frames: int = 40, pooled: int = 20, words: int = 7
) -> dict[str, tuple[Tensor, ...]]:
    """Stage name -> inputs of the right shapes, random; batch and lengths are free in the graph."""
    heard = torch.randn(batch, frames, F.FEATURE_WIDTH)
    latent = torch.randn(batch, frames, F.LATENT_CHANNELS)
    ids = torch.randint(1000, 20_000, (batch, words))
    position = (torch.arange(pooled, dtype=torch.float32) * 2 + 0.5).expand(batch, -1).contiguous()
    return {
        "text_encoder": (ids, torch.ones_like(ids)),
        "codec_encoder": (heard,),
        "audio_encoder": (heard,),
        "denoiser": (
            latent,
            torch.randn(batch, TIME_WIDTH),
            torch.randn(batch, words, TEXT_WIDTH),
            torch.zeros(batch, words),
            torch.randn(batch, pooled, width),
            position,
            torch.ones(batch),
        ),
        "latent_decoder": (latent,),
    }


def relative_error(
    path: Path, module: nn.Module, arguments: tuple[Tensor, ...], names: tuple[str, ...]
) -> float:
    """Root mean square of graph minus module, over that of the module; the worst output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, dict(zip(names, (a.numpy() for a in arguments), strict=True)))
    with torch.inference_mode():
        expected = module(*arguments)
    expected = expected if isinstance(expected, tuple) else (expected,)
    pairs = [(f, e.numpy()) for f, e in zip(found, expected, strict=True)]
    return max(float(np.sqrt(np.mean((f - e) ** 2) / np.mean(e**2))) for f, e in pairs)


def release(trained: dict[str, nn.Module], width: int, out: Path) -> dict[str, float]:
    """Export every stage into `out`; the error of each. ValueError: above the bound."""
    out.mkdir(parents=True, exist_ok=True)
    small, other = (
        example_inputs(width),
        example_inputs(width, batch=1, frames=128, pooled=32, words=12),
    )
    errors = {}
    for stage in STAGES:
        module, path = trained[stage.name].eval(), out / f"{stage.name}.onnx"
        export_stage(
            module,
            small[stage.name],
            path,
            list(stage.input_names),
            list(stage.output_names),
            stage.dynamic_axes,
        )
        exact = relative_error(path, module, other[stage.name], stage.input_names)
        shrink(path)
        errors[stage.name] = relative_error(path, module, other[stage.name], stage.input_names)
        if exact > 1e-4 or errors[stage.name] > ERROR_BOUND[stage.name]:
            figures = f"{exact:.2e} in float, {errors[stage.name]:.2e} in int8"
            raise ValueError(f"{stage.name}: the graph differs from the module by {figures}")
    return errors


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codec", type=Path, required=True)
    parser.add_argument("--transformer", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    errors = release(modules(options.codec, options.transformer), NanoConfig().width, options.out)
    shutil.copyfile(sentence_encoder_folder() / "tokenizer.json", options.out / "tokenizer.json")
    files = {path.name: file_sha256(path) for path in sorted(options.out.glob("*.onnx"))}
    steps = {
        name: [steps_done(folder) for folder in folders] for name, folders in _runs(options).items()
    }
    config = {
        "name": "nano",
        "version": 1,
        "files": files,
        "steps": steps,
        "int8_relative_error": {k: round(v, 5) for k, v in errors.items()},
    }
    (options.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    print(json.dumps(config, indent=2))


def _runs(options: argparse.Namespace) -> dict[str, list[Path]]:
    return {
        "encoder": [options.codec / "encoder"],
        "decoder": [options.codec / "decoder"],
        "adversarial": [adversarial_folder(options.codec)],
        "transformer": options.transformer,
    }


if __name__ == "__main__":
    main()
