"""A style's tensors on the machine of a replica."""

import hashlib
from pathlib import Path

import pytest

from engine.errors import EngineError
from presets.style import ResolvedStyle, StyleTensor
from server.compute.ray_styles import StyleFolder, tensor_bytes


class Stored:
    """A reference of the object store, which counts who asks."""

    def __init__(self, data):
        self.data, self.asked = data, 0

    def __await__(self):
        self.asked += 1
        return self.data
        yield


def tensor(data, path):
    return StyleTensor(path, 0.5, hashlib.sha256(data).hexdigest())


@pytest.fixture
def given():
    """A style with an adapter and, as a blend has them, two soft prompts."""
    soft_prompts = (tensor(b"words", "/server/b.st"), tensor(b"more", "/server/c.st"))
    return ResolvedStyle(
        "x", adapters=(tensor(b"lora", "/server/a.st"),), soft_prompts=soft_prompts
    )


async def test_tensors_come_once_and_go_with_their_style(given):
    forgotten = []
    style = StyleFolder(lambda: forgotten.append(1))
    contents = (b"lora", b"words", b"more")
    stored = {file.sha256: Stored(data) for file, data in zip(given.tensors, contents, strict=True)}
    here = await style.localize(given, stored)
    assert await style.localize(given, stored) == here
    assert [reference.asked for reference in stored.values()] == [1, 1, 1]
    files = tuple(Path(file.path).read_bytes() for file in here.tensors)
    assert files == contents and here.adapters[0].weight == 0.5
    folder = Path(here.soft_prompts[0].path).parent
    style.__del__()  # as Serve does
    del style
    assert forgotten == [1] and not folder.exists()


async def test_a_style_without_tensors_is_as_it_was():
    plain = ResolvedStyle("x")
    assert await StyleFolder(lambda: None).localize(plain, {}) == plain


def test_a_file_that_was_changed_since_its_preset_was_read_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"lora")
    sha256 = tensor(b"lora", str(path)).sha256
    assert tensor_bytes(str(path), sha256) == b"lora"
    path.write_bytes(b"later")
    with pytest.raises(EngineError, match="bad_preset.*has changed"):
        tensor_bytes(str(path), sha256)
    path.unlink()
    with pytest.raises(EngineError, match="bad_preset.*cannot be read"):
        tensor_bytes(str(path), sha256)
