"""Foreign checkpoints become safetensors; what is unsafe or unknown is refused."""

import pytest
import torch
from safetensors.torch import load_file

from engine.families.audioldm2.ap_adapter import AdaptedUNet
from engine.families.audioldm2.convert import ConvertError, convert
from tests.engine.families.audioldm2 import tiny


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "was-run"), "w"))

    torch.save({"model": {"patch_embed.proj.weight": Evil()}}, tmp_path / "evil.pth")
    with pytest.raises(ConvertError, match="without running its code"):
        convert(tmp_path / "evil.pth", tmp_path / "audiomae.safetensors")
    assert not (tmp_path / "was-run").exists()
    assert not (tmp_path / "audiomae.safetensors").exists()


def test_the_authors_adapter_checkpoint_converts_and_fits(tmp_path):
    torch.manual_seed(0)
    adapted = AdaptedUNet(tiny.tiny_unet(large=True))
    state = tiny.random_adapter(adapted)
    torch.save(state, tmp_path / "pytorch_model.bin")
    convert(tmp_path / "pytorch_model.bin", tmp_path / "ap_adapter.safetensors")
    adapted.load_adapter(load_file(str(tmp_path / "ap_adapter.safetensors")))
    assert all(tensor.equal(state[name]) for name, tensor in adapted.adapter_state().items())


def test_the_authors_folder_of_copied_projections_converts_and_equals_our_start(tmp_path):
    adapted = AdaptedUNet(tiny.tiny_unet())
    folder = tmp_path / "copied_cross_attention"
    folder.mkdir()
    for path, adapter in adapted.adapters.items():
        torch.save(adapter.to_k_ip.weight, folder / f"{path}.processor_k.bin")
        torch.save(adapter.to_v_ip.weight, folder / f"{path}.processor_v.bin")
    convert(folder, tmp_path / "start.safetensors")
    found = load_file(str(tmp_path / "start.safetensors"))
    assert all(tensor.equal(found[name]) for name, tensor in adapted.adapter_state().items())


@pytest.mark.parametrize("contents", [{"lstm.weight": torch.zeros(2)}, [1, 2, 3], {}])
def test_anything_else_is_named_and_refused(contents, tmp_path):
    torch.save(contents, tmp_path / "other.pth")
    with pytest.raises(ConvertError, match="expected"):
        convert(tmp_path / "other.pth", tmp_path / "out.safetensors")


def test_an_existing_target_is_never_overwritten(tmp_path):
    (tmp_path / "out.safetensors").write_bytes(b"mine")
    with pytest.raises(ConvertError, match="there already"):
        convert(tmp_path / "in.pth", tmp_path / "out.safetensors")
