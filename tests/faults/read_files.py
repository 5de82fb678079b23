"""Faults of files that the server reads: models and styles."""

import os
import shutil

from presets import SHIPPED_FOLDER
from tests.faults.scenario import NOTHING, Scenario, adds_to, failure, wait_for_end
from tests.faults.stage import REAL_SECONDS

SCENARIOS: list[Scenario] = []
scenario = adds_to(SCENARIOS)


@scenario(
    "a graph of the model is cut off",
    "it is not used; with the file again the next job is done, without a restart",
    "model_damaged",
    "install retimbre again",
    is_real=True,
)
async def model_file_truncated(stage):
    return await _with_weights(stage, lambda graph: os.truncate(graph, graph.stat().st_size // 2))


@scenario(
    "a graph of the model is another one of the same kind (one byte differs)",
    "it is not used, though it could be loaded; with the file again the next job is done",
    "model_damaged",
    "install retimbre again",
    is_real=True,
)
async def model_file_swapped(stage):
    def change(graph):
        data = bytearray(graph.read_bytes())
        data[len(data) // 2] ^= 1
        graph.write_bytes(data)

    return await _with_weights(stage, change)


@scenario(
    "a style is saved half-way through an edit",
    "the styles as they were go on serving, and the mended file is taken up",
    "bad_preset",
    "mine.yaml",
)
async def preset_edited_half_way(stage):
    server, client = await stage.server()
    style = server.paths.presets / "mine.yaml"
    whole = (SHIPPED_FOLDER / "harp.yaml").read_text().replace("name: harp", "name: mine")
    style.write_text(whole)
    client.say("preset/reload")
    await client.expect("done", command="/retimbre/preset/reload", patience=30)
    style.write_text(whole[: whole.index("pooling")] + "poo")
    client.say("preset/reload")
    fail = await client.expect("fail", command="/retimbre/preset/reload", patience=30)
    client.say("edit", 1, str(stage.audio), "copy", preset="mine")
    assert await wait_for_end(client, 1) == NOTHING
    style.write_text(whole)
    client.say("preset/reload")
    await client.expect("done", command="/retimbre/preset/reload", skip=1, patience=30)
    return failure(fail)


async def _with_weights(stage, damage):
    from engine.families.nano.family import WEIGHTS

    folder = stage.folder / "weights"
    shutil.copytree(WEIGHTS, folder)
    damage(folder / "denoiser.onnx")
    server, client = await stage.real_server(folder)
    client.say("edit", 1, str(stage.audio), "a violin", steps=1)
    end = await wait_for_end(client, 1, REAL_SECONDS)
    shutil.copy(WEIGHTS / "denoiser.onnx", folder)
    client.say("edit", 2, str(stage.audio), "a violin", steps=1)
    again = await wait_for_end(client, 2, REAL_SECONDS)
    assert again == NOTHING, again
    assert not server.executor.info.unavailable_reason
    return end
