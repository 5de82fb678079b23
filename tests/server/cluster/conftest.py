"""One real Ray with two replicas on this machine, one server on it, for all tests of this folder."""

import dataclasses
import importlib.util

import pytest
import pytest_asyncio

from server.app import Server
from server.cluster.executor import Cluster, RayExecutor, connection, prepare_environment
from server.config import ServeConfig
from tests.server.clients import UdpClient, write_wav


@pytest.fixture(scope="session")
def ray():
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray: pip install 'retimbre[cluster]'")
    from engine.nano.family import missing

    if missing():
        pytest.skip(f"needs the embedded model: {missing()}")
    prepare_environment("")
    import ray

    ray.init(**{**connection(""), "num_cpus": 2, "object_store_memory": 128 * 2**20})
    yield ray
    ray.shutdown()


@dataclasses.dataclass
class Studio:
    """A server on two replicas. `begun`: what each replica said when it began a request, in order."""

    server: Server
    client: UdpClient
    begun: list
    audio: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def studio(ray, tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio")
    audio = write_wav(folder / "region.wav", frames=32_000 * 5, channels=2, rate_hz=32_000)
    config = ServeConfig(data_dir=str(folder / "data"), port=0, http_port=0, announce="never", root=(str(folder),),
                         executor="ray", min_replicas=2, max_replicas=2, threads=1)
    async with Server(config, Listened(Cluster.of(config))) as server:
        await server.ready.wait()
        client = await UdpClient.open(server.port)
        yield Studio(server, client, server.executor.begun, str(audio))
        client.close()


class Listened(RayExecutor):
    """Keeps what the replicas said at the beginning of each request."""

    def __init__(self, cluster):
        super().__init__(cluster)
        self.begun = []

    async def start(self, listener):
        def hear(event):
            if event["event"] == "begun":
                self.begun.append(event)
            listener(event)
        await super().start(hear)
