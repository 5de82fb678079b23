"""LoRA files as every program writes them, for the tests of both backends."""

import json

import numpy as np
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from engine.adapters.files import save_tensors, write_adapter_file
from engine.adapters.lora import Factors, LoraFile, peft_tensors, to_adapter_file
from training.adapt import convert


def a_lora(shapes, is_stabilised=False, alike=False, is_dora=False):
    """Ranks and alphas differ from layer to layer; a DoRA's lengths are any."""
    draw, layers = np.random.default_rng(3), {}
    for index, (path, (fan_out, fan_in, *kernel)) in enumerate(shapes.items()):
        rank, alpha = (3, 4.5) if alike else (2 + index % 3, 3.0 + index)
        down = draw.standard_normal((rank, fan_in, *kernel)).astype(np.float32)
        up = draw.standard_normal((fan_out, rank, *[1] * len(kernel))).astype(np.float32)
        magnitude = draw.uniform(0.5, 2.0, fan_out).astype(np.float32) if is_dora else None
        layers[path] = Factors(down, up, alpha, magnitude)
    return LoraFile(layers, is_stabilised)


def of_ours(form):
    def write(folder, lora):
        place = convert.write(lora, folder / "x.safetensors", form, "unet")
        return convert._file_in(place)

    return write


def own(folder, lora):
    return write_adapter_file(folder / "x.safetensors", to_adapter_file(lora), "unet")


def bare(form):
    """Without our header, as the other programs write them."""

    def write(folder, lora):
        from safetensors import safe_open
        from safetensors.numpy import load_file

        path = of_ours(form)(folder, lora)
        with safe_open(str(path), "np") as file:
            metadata = {k: v for k, v in file.metadata().items() if k not in ("retimbre", "format")}
        save_file(load_file(path), str(path), metadata)
        return path

    return write


def kohya_resized(folder, lora):
    path = bare("kohya")(folder, lora)
    from safetensors.numpy import load_file

    save_file(load_file(path), str(path), {"ss_network_alpha": "Dynamic", "ss_network_dim": "None"})
    return path


def with_names(pattern, **metadata):
    """Names by a pattern of layer and side, nothing said of alpha but in the metadata."""

    def write(folder, lora):
        tensors = {}
        for path, factors in lora.layers.items():
            tensors[pattern.format(path, "down")] = factors.down
            tensors[pattern.format(path, "up")] = factors.up
        return save_tensors(folder / "x.safetensors", tensors, metadata)

    return write


def of_processors(folder, lora):
    """As diffusers wrote them once; attention alone has processors."""
    tensors = {}
    for path, factors in lora.layers.items():
        if ".attn" in path:
            block, _, layer = path.removesuffix(".0").rpartition(".")
            name = f"unet.{block}.processor.{layer}_lora"
            tensors[f"{name}.down.weight"] = factors.down
            tensors[f"{name}.up.weight"] = factors.up
    return save_tensors(folder / "x.safetensors", tensors, {})


def in_header(folder, lora):
    settings = json.dumps({f"unet.{k}": v for k, v in to_adapter_file(lora).settings.items()})
    tensors = {f"unet.{name}": values for name, values in peft_tensors(lora).items()}
    metadata = {"lora_adapter_metadata": settings}
    return save_tensors(folder / "x.safetensors", tensors, metadata)


def as_type(dtype):
    def write(folder, lora):
        tensors = {
            name: torch.from_numpy(values).to(dtype) for name, values in peft_tensors(lora).items()
        }
        path = folder / "x.safetensors"
        save_torch(tensors, str(path), {"lora_alpha": "6"})
        return path

    return write


def flat_convolutions(folder, lora):
    tensors = {k: v.reshape(v.shape[:2]) for k, v in peft_tensors(lora).items()}
    return save_tensors(folder / "x.safetensors", tensors, {"lora_alpha": "2"})


def lycoris(kind):
    def write(folder, lora):
        draw, tensors = np.random.default_rng(1), {}
        normal = lambda *shape: draw.standard_normal(shape).astype(np.float32)  # noqa: E731
        for path, factors in lora.layers.items():
            fan_out, fan_in = factors.up.shape[0], factors.down.shape[1]
            name = f"lora_unet_{path.replace('.', '_')}"
            sides = {"a": (fan_out, 2), "b": (2, fan_in)}
            if kind == "LoHa":
                for number in (1, 2):
                    for side, shape in sides.items():
                        tensors[f"{name}.hada_w{number}_{side}"] = normal(*shape)
            else:
                tensors[f"{name}.lokr_w1"] = normal(2, 2)
                tensors[f"{name}.lokr_w2_a"] = normal(fan_out // 2, 1)
                tensors[f"{name}.lokr_w2_b"] = normal(1, fan_in // 2)
            tensors[f"{name}.alpha"] = np.array(1.0, np.float32)
        return save_tensors(folder / "x.safetensors", tensors, {})

    return write
