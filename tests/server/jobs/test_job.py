"""The registry of jobs and names: what is remembered, and for how long."""

import dataclasses
import time

import pytest

from server.jobs import job as jobs
from server.jobs.job import ENDED, Job, JobRegistry, fingerprint, region_name
from server.jobs.records import End, JobRecord
from tests.server.clients import job_spec


def job(name, client="here/max", client_id=1):
    return Job(
        JobRecord(name, client, client_id, "/retimbre/edit", "", "", job_spec(), time.time()), None
    )


def test_ended_jobs_are_remembered_for_a_while_and_not_too_many(monkeypatch):
    monkeypatch.setattr(jobs, "KEEP_AT_MOST", 2)
    registry = JobRegistry()
    for number in range(4):
        each = job(f"job-{number}", client_id=number)
        registry.add(each)
        registry.close(each)
    assert [registry.find("here/max", number) is not None for number in range(4)] == [
        False,
        False,
        True,
        True,
    ]
    monkeypatch.setattr(jobs, "KEEP_SECONDS", -1.0)
    assert registry.find("here/max", 3) is None


def test_living_jobs_are_never_forgotten(monkeypatch):
    monkeypatch.setattr(jobs, "KEEP_SECONDS", -1.0)
    registry = JobRegistry()
    registry.add(job("job-1"))
    assert registry.find("here/max", 1) and registry.find("anybody", "job-1")


def test_jobs_follow_a_client_that_says_its_name():
    registry = JobRegistry()
    registry.add(job("job-1", client="udp:127.0.0.1:4000"))
    assert registry.rename("udp:127.0.0.1:4000", "here/max") == ["job-1"]
    assert registry.find("here/max", 1).record.client == "here/max"
    assert registry.find("udp:127.0.0.1:4000", 1) is None


def test_progress_is_kept_honest():
    each = job("job-1")
    fractions = []
    for told in (-1, 0.3, 0.2, -1, 7.0):
        each.advance(told, "generating", -1)
        fractions.append(each.fraction)
    assert fractions == [-1, 0.3, 0.3, 0.3, 0.999]


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (None, "queued"),
        (End(), "done"),
        (End("cancelled"), "cancelled"),
        (End("engine_died"), "failed"),
    ],
)
def test_states_have_public_names(end, state):
    each = dataclasses.replace(job("job-1"), end=end)
    assert each.public_state == state
    assert each.is_alive and not dataclasses.replace(each, state=ENDED).is_alive


def test_requests_and_regions_are_told_apart():
    assert (
        fingerprint("a", {"x": 1, "y": 2})
        == fingerprint("a", {"y": 2, "x": 1})
        != fingerprint("a", {"x": 1})
    )
    assert region_name("/a", 0, 1) == region_name("/a", 0.0, 1.0) != region_name("/a", 0, 2)
