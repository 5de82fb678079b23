"""Both faces against a real server; its worker is a double that does what the words say."""

import asyncio
import threading

import pytest
from retimbre_client import AsyncClient, Client, NoServer, Refused

TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])


def wait_until_started(job):
    """Wait until it is computed."""
    while job.progress is None:
        with pytest.raises(TimeoutError):
            job.wait(0.05)
    return job


@TRANSPORTS
def test_a_region_and_a_few_words_become_a_stem(port, audio, tmp_path, transport):
    with Client(port=port, transport=transport) as client:
        outcome = client.edit(audio, "copy this", seed=3)
        [stem] = outcome.stems
        assert (stem.name, stem.frames, stem.channels, stem.rate_hz) == ("violin", 4800, 1, 48_000)
        assert client.fetch(stem, tmp_path / "stem.wav").read_bytes() == audio.read_bytes()
        assert client.manifest(outcome)["seed"] == outcome.seed == 3


@TRANSPORTS
async def test_the_same_without_blocking(port, audio, transport):
    async with AsyncClient(port=port, transport=transport) as client:
        outcome = await client.edit(audio, "copy this", seed=3)
        assert await client.read(outcome.stems[0].path) == audio.read_bytes()
        assert (await client.manifest(outcome))["seed"] == outcome.seed == 3


def test_progress_is_told_by_the_thread_that_waits(client, audio):
    heard = []
    threads = set()

    def show(progress):
        heard.append(progress)
        threads.add(threading.current_thread())

    job = client.submit(audio, "slow 8", on_progress=show)
    job.wait()
    assert threads == {threading.current_thread()}
    fractions = [progress.fraction for progress in heard]
    assert fractions == sorted(fractions) and len(fractions) >= 2
    assert job.progress == heard[-1]


async def test_many_jobs_at_once_keep_their_own_stems(port, audio):
    async with AsyncClient(port=port) as client:
        outcomes = await asyncio.gather(
            *(client.edit(audio, "copy", seed=seed, job_id=seed) for seed in range(1, 9))
        )
    assert [(outcome.job_id, outcome.seed) for outcome in outcomes] == [
        (seed, seed) for seed in range(1, 9)
    ]
    assert len({outcome.stems[0].path for outcome in outcomes}) == 8


def test_many_threads_share_one_client(client, audio):
    seeds = {}

    def work(seed):
        seeds[seed] = client.edit(audio, "copy", seed=seed).seed
        assert client.get("seed") == -1 and client.models()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seeds == {seed: seed for seed in range(6)}


def test_the_same_id_is_the_same_job(client, audio):
    first = client.submit(audio, "slow 10", job_id="mine")
    assert client.job("mine").id == "mine"
    second = client.submit(audio, "slow 10", job_id="mine")
    outcome = first.wait()
    assert second.wait() == outcome
    assert client.job("mine") is None
    assert client.edit(audio, "slow 10", job_id="mine") == outcome


def test_another_client_of_the_same_name_finds_the_job(port, audio):
    with Client(port=port, name="finder") as first:
        first.submit(audio, "slow 20", job_id="long")
    with Client(port=port, name="finder", transport="tcp") as second:
        assert second.attach("long").wait().job_id == "long"
    with Client(port=port, name="stranger") as third, pytest.raises(Refused, match="unknown_job"):
        third.attach("long").wait()


def test_a_cancelled_job_ends_with_its_code(client, audio):
    job = wait_until_started(client.submit(audio, "slow 4000"))
    job.cancel()
    with pytest.raises(Refused) as refusal:
        job.wait()
    assert refusal.value.code == "cancelled"
    job.cancel()  # once more does no harm


async def test_who_stops_waiting_for_an_edit_cancels_it(port, audio):
    async with AsyncClient(port=port) as client:
        begun = asyncio.Event()
        edit = asyncio.create_task(
            client.edit(audio, "slow 4000", job_id=1, on_progress=lambda _: begun.set())
        )
        await begun.wait()
        job = client.job(1)
        edit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await edit
        with pytest.raises(Refused, match="cancelled"):
            await job


async def test_who_stops_waiting_for_a_submitted_job_lets_it_go_on(port, audio):
    async with AsyncClient(port=port) as client:
        job = client.submit(audio, "slow 10")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_wait(job), 0.05)
        assert (await job).stems


async def _wait(job):
    return await job


def test_all_jobs_can_be_stopped_at_once(client, audio):
    jobs = [
        wait_until_started(client.submit(audio, "slow 4000")),
        client.submit(audio, "slow 4000"),
    ]
    jobs[1].accepted()
    assert client.cancel_all() == 2
    for job in jobs:
        with pytest.raises(Refused, match="cancelled"):
            job.wait()


def test_the_end_of_a_job_can_be_listened_to(client, audio):
    ended = threading.Event()
    job = client.submit(audio, "copy")
    job.on_end(lambda it: ended.set() if it is job and it.is_over else None)
    assert ended.wait(20)
    assert len(job.stems) == 1


@pytest.mark.parametrize(
    ("words", "keys", "code"),
    [
        ("fail out_of_memory", {}, "out_of_memory"),
        ("copy", {"preset": "no_such_style"}, "unknown_preset"),
        ("copy", {"steps": 0}, "bad_args"),
    ],
)
def test_a_refusal_has_a_code_and_says_what_to_do(client, audio, words, keys, code):
    with pytest.raises(Refused) as refusal:
        client.edit(audio, words, **keys)
    assert refusal.value.code == code and refusal.value.message
    assert client.ping()


def test_a_file_that_is_nowhere_is_refused_by_the_server(client, audio):
    with pytest.raises(Refused, match="no_file"):
        client.edit(audio.parent / "gone.wav", "copy")


def test_an_earlier_job_runs_again_with_changes(client, audio):
    first = client.edit(audio, "copy", seed=5)
    assert client.again(first.job_id).wait().seed == 5
    assert client.again(first.job_id, seed=6).wait().seed == 6


def test_region_words_and_takes(client, audio):
    region = client.region(audio, start=0.05)
    assert region["seconds"] == pytest.approx(0.05)
    outcome = client.say("copy").wait()
    [take] = client.takes()
    assert (take["text"], take["in_use"], take["region"]) == ("copy", 0, region["region"])
    assert client.use_take(take).wait().stems == outcome.stems
    assert client.takes()[0]["in_use"] == 1


def test_settings_hold_for_later_jobs(client, audio):
    client.set(seed=11, format="wav")
    assert (client.get("seed"), client.edit(audio, "copy").seed) == (11, 11)
    with pytest.raises(Refused, match="unknown_preset"):
        client.set(preset="no_such_style")
    assert client.blend({"harp": 0.7, "pan_flute": 0.3}) == 2
    assert client.get("preset") == "harp 0.7 pan_flute 0.3"
    assert client.blend("harp") == 1


def test_lists_are_complete(client):
    names = [style["name"] for style in client.presets()]
    assert "harp" in names and len(names) == len(set(names)) > 20
    assert "guidance" in [knob["key"] for knob in client.preset("harp")]
    assert [model["name"] for model in client.models()] == ["nano"]
    with pytest.raises(Refused, match="unknown_preset"):
        client.preset("no_such_style")


def test_the_server_says_how_it_is(client, audio):
    assert client.status()["device"] == "double"
    assert client.version()["protocol"] == 1
    assert client.folder().is_dir()
    assert client.ping() and client.shares_disk


def test_models_are_loaded_and_unloaded(client):
    assert client.load("nano").wait().seconds > 0
    client.unload("nano").wait()
    with pytest.raises(Refused, match="unknown_model"):
        client.load("no_such_model").wait()


def test_news_come_without_being_asked_for(port, data_dir, audio):
    heard, changed = [], threading.Event()

    def news(name, values):
        heard.append((name, values))
        if name == "preset/changed":
            changed.set()

    with Client(port=port, on_news=news) as client:
        style = data_dir / "presets" / "mine.yaml"
        style.write_text(
            "name: mine\ntitle: Mine\nmodel: nano\ntask: timbre\nprompts: [{text: a bell}]\n"
            "licence: CC0-1.0\ndescription: a bell\n"
        )
        try:
            client.reload_presets()
            assert changed.wait(20)
            client.edit(audio, "copy")
        finally:
            style.unlink()
            client.reload_presets()
    assert "state" in [name for name, _ in heard]


def test_a_port_where_nobody_listens_says_how_to_start_a_server():
    with pytest.raises(NoServer, match="retimbre serve"):
        Client(port=1)


def test_a_transport_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="udp or tcp, came 'smoke'"):
        Client(transport="smoke")
