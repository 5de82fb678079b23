"""One real Ray on this machine, and on it a server with one replica, which may become two."""

import asyncio
import dataclasses
import hashlib
import importlib.util

import numpy as np
import pytest
import pytest_asyncio

from server.app import Server
from server.compute.ray import RayExecutor
from server.compute.ray_cluster import Cluster, connection, prepare_environment
from server.config import ServeConfig
from tests.server.clients import UdpClient, write_wav

SLOW_SECONDS = 200.0
MOST_STEPS = 100  # a job that is not done before the test is done with it
TAUGHT = """name: taught
title: Taught
description: words that were learned
prompts: [{text: a harp}]
licence: Apache-2.0
soft_prompt:
  path: words.safetensors
  sha256: """
ENOUGH = 16  # such jobs to outlast the start of a replica


@pytest.fixture(scope="module")
def ray():
    """Ends with the module that needs it: it would breathe beside every later test."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray: pip install 'retimbre[cluster]'")
    from engine.families.nano.family import missing

    if missing():
        pytest.skip(f"needs the embedded model: {missing()}")
    with pytest.MonkeyPatch.context() as environment:
        prepare_environment("", environment.setenv)
        import ray

        ray.init(**{**connection(""), "num_cpus": 2, "object_store_memory": 128 * 2**20})
        yield ray
        ray.shutdown()


@dataclasses.dataclass
class Studio:
    """A server on Ray. `begun`: what each replica said when it began a request, in order."""

    server: Server
    client: UdpClient
    audio: str

    @property
    def begun(self):
        return self.server.executor.begun

    def processes(self, since):
        return {begun["pid"] for begun in self.begun[since:]}

    async def until(self, is_so):
        async with self.server.executor.news:
            await asyncio.wait_for(self.server.executor.news.wait_for(is_so), SLOW_SECONDS)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio")
    teach(folder)
    return {
        "data_dir": str(folder / "data"),
        "port": 0,
        "http_port": 0,
        "announce": "never",
        "root": (str(folder),),
        "presets_dir": (str(folder),),
        "threads": 1,
    }


def teach(folder):
    """A style of learned words, which lie beside its preset."""
    from safetensors.numpy import save

    words = save(
        {"soft_prompt": np.random.default_rng(0).standard_normal((5, 384)).astype(np.float32)}
    )
    (folder / "words.safetensors").write_bytes(words)
    (folder / "taught.yaml").write_text(TAUGHT + hashlib.sha256(words).hexdigest())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def studio(ray, options):
    audio = write_wav(
        f"{options['root'][0]}/region.wav", frames=32_000 * 5, channels=2, rate_hz=32_000
    )
    config = ServeConfig(executor="ray", min_replicas=1, max_replicas=2, **options)
    async with Server(config, Listened(Cluster.of(config))) as server:
        await server.ready.wait()
        client = await UdpClient.open(server.port)
        yield Studio(server, client, audio)
        client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(studio):
    """The studio, when jobs that wait have called for the second replica."""
    jobs, before = range(1000, 1000 + ENOUGH), len(studio.begun)
    for job in jobs:
        studio.client.say("edit", job, studio.audio, "a flute", steps=MOST_STEPS)
    await studio.until(lambda: len(studio.processes(before)) == 2)
    for job in reversed(jobs):
        studio.client.say("cancel", job)
    for job in jobs:  # the first ones may be done by then
        await studio.client.end(job, SLOW_SECONDS)
    return studio


class Listened(RayExecutor):
    """Keeps what the replicas said at the beginning of each request; `news`: something was said."""

    def __init__(self, cluster):
        super().__init__(cluster)
        self.begun, self.news, self.tasks = [], asyncio.Condition(), set()

    async def start(self, listener):
        def hear(event):
            if event["event"] == "begun":
                self.begun.append(event)
            listener(event)
            self.tasks.add(asyncio.create_task(self.tell()))

        await super().start(hear)

    async def tell(self):
        async with self.news:
            self.news.notify_all()
