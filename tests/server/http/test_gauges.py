"""What Prometheus reads, by its own parser."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from osc_protocol.wire import write_message

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana" / "retimbre.json"
NAMES = re.compile(r"\bretimbre_[a-z_]+(?={)")


async def scrape(http, accept="text/plain", parse=parse_text):
    """Sample name -> [(labels, value)]."""
    async with http.get("/metrics", headers={"Accept": accept}) as response:
        assert response.status == 200, await response.text()
        found = {}
        for family in parse(await response.text()):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        return found


def value(samples, name, **labels):
    return sum(number for has, number in samples[name] if labels.items() <= has.items())


@pytest.mark.parametrize(
    ("accept", "parse"), [("text/plain", parse_text), (OPENMETRICS, parse_openmetrics)]
)
async def test_prometheus_own_parsers_read_it(http, accept, parse):
    samples = await scrape(http, accept, parse)
    assert value(samples, "retimbre_jobs", state="queued") == 0
    assert sum(number for _, number in samples["retimbre_state"]) == 1
    assert value(samples, "retimbre_disk_free_bytes") > 0


async def test_a_job_leaves_its_figures(http, call, listen, audio):
    events = await listen()
    await call("edit", id="1", audio=str(audio), text="copy")
    await events.expect("done", id="1")
    await call("edit", id="2", audio=str(audio), text="fail out_of_memory")
    await events.expect("fail", id="2")
    samples = await scrape(http)
    assert value(samples, "retimbre_requests_total", verb="edit", code="ok") == 2
    assert value(samples, "retimbre_ack_seconds_count") == 2
    assert value(samples, "retimbre_jobs_ended_total", code="done") == 1
    assert value(samples, "retimbre_jobs_ended_total", code="out_of_memory") == 1
    assert value(samples, "retimbre_queue_wait_seconds_count") == 2
    assert value(samples, "retimbre_turnaround_seconds_count") == 1
    assert value(samples, "retimbre_stage_seconds_count", stage="generating") == 1
    assert value(samples, "retimbre_journal_jobs", state="done") == 1
    assert value(samples, "retimbre_worker_starts_total") == 1


async def test_a_worker_that_dies_and_an_upload_are_counted(http, call, listen, audio):
    events = await listen()
    await call("edit", id="1", audio=str(audio), text="die")
    await events.expect("fail", id="1", code="engine_died")
    async with http.post(
        "/retimbre/audio/upload",
        params={"format": "wav"},
        data=audio.read_bytes(),
        headers={"Content-Type": "audio/wav"},
    ) as response:
        assert response.status == 200
    samples = await scrape(http)
    while value(samples, "retimbre_worker_starts_total") < 2:
        await asyncio.sleep(0.1)
        samples = await scrape(http)
    assert value(samples, "retimbre_upload_bytes_total") == audio.stat().st_size
    assert value(samples, "retimbre_uploads_open") == 0


async def test_a_refusal_is_counted_by_its_code_and_what_nobody_knows_as_other(http, call, connect):
    await call("take/use", id="none")
    client = await connect()
    client.send(write_message("/retimbre/frobnicate", (1,)))
    await client.expect("fail")
    samples = await scrape(http)
    assert value(samples, "retimbre_requests_total", verb="take/use", code="unknown_take") == 1
    assert value(samples, "retimbre_requests_total", verb="other", code="unknown_address") == 1


async def test_no_label_holds_what_a_client_chose(http, call, listen, audio):
    events = await listen("planted-name")
    await call(
        "edit", client="planted-name", id="planted-id", audio=str(audio), text="copy planted-words"
    )
    await events.expect("done", id="planted-id")
    async with http.get("/metrics") as response:
        assert "planted" not in await response.text()


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=str,
)
async def test_other_sites_do_not_read_it(http, headers):
    async with http.get("/metrics", headers=headers) as response:
        assert response.status == 403 and "retimbre_jobs" not in await response.text()


async def test_every_query_of_the_dashboard_asks_for_what_exists(http, call, listen, audio):
    events = await listen()
    await call("edit", id="1", audio=str(audio), text="copy")
    await events.expect("done", id="1")
    names = set(await scrape(http))
    panels = [
        panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"
    ]
    assert len(panels) >= 12
    for panel in panels:
        for target in panel["targets"]:
            asked = set(NAMES.findall(target["expr"]))
            assert asked and asked <= names, panel["title"]


async def test_the_page_names_every_metric_and_no_other(http):
    page = (DASHBOARD.parents[1] / "observability.md").read_text()
    named = set(re.findall(r"`(retimbre_[a-z_]+)`", page))
    async with http.get("/metrics") as response:
        families = {family.name: family.type for family in parse_text(await response.text())}
    there = {
        f"{name}_total" if kind == "counter" else name
        for name, kind in families.items()
        if "_process_" not in name and not name.endswith("_created")
    }
    assert named == there
