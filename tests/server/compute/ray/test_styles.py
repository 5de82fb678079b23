"""A style's tensors on the machine of a replica."""

import hashlib
from pathlib import Path

import pytest

from engine.errors import EngineError
from server.compute.ray_styles import Style, tensor_bytes, tensor_files


class Stored:
    """A reference of the object store, which counts who asks."""

    def __init__(self, data):
        self.data, self.asked = data, 0

    def __await__(self):
        self.asked += 1
        return self.data
        yield


def row(data, path):
    return {"path": path, "weight": 0.5, "sha256": hashlib.sha256(data).hexdigest()}


@pytest.fixture
def preset():
    return {
        "name": "x",
        "adapters": [row(b"lora", "/server/a.safetensors")],
        "soft_prompt": row(b"words", "/server/b.safetensors"),
    }


async def test_tensors_come_once_and_go_with_their_style(preset):
    forgotten = []
    style = Style(lambda: forgotten.append(1))
    stored = {
        each["sha256"]: Stored(data)
        for each, data in zip(tensor_files(preset), (b"lora", b"words"), strict=True)
    }
    here = await style.at_home(preset, stored)
    assert await style.at_home(preset, stored) == here
    assert [reference.asked for reference in stored.values()] == [1, 1]
    files = [Path(each["path"]).read_bytes() for each in tensor_files(here)]
    assert files == [b"lora", b"words"] and here["adapters"][0]["weight"] == 0.5
    folder = Path(here["soft_prompt"]["path"]).parent
    style.__del__()  # as Serve does
    del style
    assert forgotten == [1] and not folder.exists()


async def test_a_style_without_tensors_is_as_it_was():
    assert await Style(lambda: None).at_home(None, {}) is None
    assert await Style(lambda: None).at_home({"name": "x"}, {}) == {"name": "x"}


def test_a_file_that_was_changed_since_its_preset_was_read_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"lora")
    sha256 = row(b"lora", path)["sha256"]
    assert tensor_bytes(str(path), sha256) == b"lora"
    path.write_bytes(b"later")
    with pytest.raises(EngineError, match="bad_preset.*has changed"):
        tensor_bytes(str(path), sha256)
    path.unlink()
    with pytest.raises(EngineError, match="bad_preset.*cannot be read"):
        tensor_bytes(str(path), sha256)
