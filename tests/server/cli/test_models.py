import json

import pytest

from server.cli.main import main


def test_models_are_listed_with_licence_and_what_they_lack(tmp_path, capsys):
    assert main(["models", "list", "--models-dir", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "nano" in told and "Apache-2.0" in told
    assert "audioldm2" in told and "non-commercial" in told and str(tmp_path) in told


def test_models_are_listed_for_programs(tmp_path, capsys):
    assert main(["models", "list", "--json", "--data-dir", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(tmp_path / "models")
    assert {"nano", "audioldm2"} <= {row["name"] for row in told["models"]}


def test_a_checkpoint_is_converted(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    name = "mid_block.attentions.1.transformer_blocks.0.attn2.processor.to_k_ip.weight"
    torch.save({name: torch.ones(2, 3)}, tmp_path / "pytorch_model.bin")
    target = tmp_path / "models" / "ap_adapter.safetensors"
    assert main(["models", "convert", str(tmp_path / "pytorch_model.bin"), str(target)]) == 0
    assert target.is_file() and "AP-Adapter, 1 tensors, 6 numbers" in capsys.readouterr().out


def test_a_checkpoint_that_is_none_is_refused_with_a_reason(tmp_path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    (tmp_path / "note.txt").write_text("hello")
    assert (
        main(["models", "convert", str(tmp_path / "note.txt"), str(tmp_path / "out.safetensors")])
        == 1
    )
    assert "not a checkpoint that can be read" in capsys.readouterr().err
