import hashlib
import json
import socket

import pytest

from server.cli.doctor import checks
from server.cli.main import main
from server.config import ServeConfig
from server.paths import WEIGHTS


@pytest.mark.parametrize(
    ("version", "state"), [((3, 9), "bad"), ((3, 10), "ok"), ((3, 13), "ok"), ((3, 14), "bad")]
)
def test_python_versions(version, state):
    assert checks.python_version(version).state == state


def test_two_runtimes_are_worse_than_one_and_none_is_bad_too():
    one, two = {"onnxruntime": "1"}, {"onnxruntime": "1", "onnxruntime-gpu": "1"}
    assert [checks.runtime_package(found).state for found in (one, two, {})] == ["ok", "bad", "bad"]
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in checks.runtime_package(two).cure


def release(folder):
    for name in checks.WEIGHT_FILES:
        (folder / name).write_text(name)
    hashes = {
        name: hashlib.sha256(name.encode()).hexdigest()
        for name in checks.WEIGHT_FILES
        if ".onnx" in name
    }
    (folder / "config.json").write_text(json.dumps({"files": hashes}))


def test_weights_as_released_are_well(tmp_path):
    release(tmp_path)
    assert checks.weights(tmp_path).state == "ok"


def test_the_shipped_weights_are_found_and_well():
    assert checks.weights(WEIGHTS).state == "ok"


def test_a_missing_and_a_changed_weight_file_are_named(tmp_path):
    assert "config.json" in checks.weights(tmp_path).text
    release(tmp_path)
    (tmp_path / "denoiser.onnx").write_text("half of it")
    found = checks.weights(tmp_path)
    assert (found.state, found.text) == ("bad", "not as released: denoiser.onnx")


def test_a_config_that_cannot_be_read_is_bad(tmp_path):
    release(tmp_path)
    (tmp_path / "config.json").write_text("{")
    assert checks.weights(tmp_path).state == "bad"


def test_a_data_folder_that_cannot_be_is_bad(tmp_path):
    (tmp_path / "file").write_text("")
    assert checks.data_folder(tmp_path / "file").state == "bad"
    assert checks.data_folder(tmp_path / "new").state == "ok"
    assert list((tmp_path / "new").iterdir()) == []


def test_a_taken_port_is_a_note_with_a_cure(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        found = checks.ports(ServeConfig(data_dir=str(tmp_path), port=port))
    assert (found.state, str(port) in found.text) == ("note", True)


def test_a_broken_style_is_a_note(tmp_path):
    (tmp_path / "bad.yaml").write_text("name: [")
    found = checks.styles(ServeConfig(data_dir=str(tmp_path), presets_dir=(str(tmp_path),)))
    assert (found.state, "bad.yaml" in found.text) == ("note", True)


def test_every_finding_that_is_not_well_has_a_cure(tmp_path):
    for finding in checks.examine(ServeConfig(data_dir=str(tmp_path))):
        assert finding.state == "ok" or finding.cure


def test_exit_code_follows_the_worst_finding(tmp_path, capsys):
    code = main(["doctor", "--json", "--data-dir", str(tmp_path)])
    findings = json.loads(capsys.readouterr().out)
    assert code == int(any(finding["state"] == "bad" for finding in findings))
