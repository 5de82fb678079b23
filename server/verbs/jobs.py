"""Edits, and everything about jobs and takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ParamSpec

from osc_protocol import ROOT, Request
from server.errors import RequestError
from server.files.sandbox import AudioFile
from server.jobs.job import ACCEPTING, ENDED, Job, fingerprint, new_name, region_name
from server.jobs.journal import Journal
from server.jobs.records import JobRecord
from server.jobs.spec import JobSpec, check_model
from server.services import Services
from server.wire.sessions import Peer

P = ParamSpec("P")

MAX_TAKES_LISTED = 100


async def edit(services: Services, peer: Peer, request: Request) -> None:
    """Turn a region into stems."""
    values = request.values
    async with peer.session.turn:
        if not await answer_repeat(services, peer, request):
            keys = _effective_keys(peer, request.keys)
            await begin(
                services, peer, request, services.specs.edit, values["audio"], values["text"], keys
            )


async def say(services: Services, peer: Peer, request: Request) -> None:
    """Edit the current region."""
    async with peer.session.turn:
        if await answer_repeat(services, peer, request):
            return
        region = peer.session.region
        if region is None:
            raise RequestError(
                "no_region", f"say {ROOT}/region id audio [start length] first, or use {ROOT}/edit"
            )
        keys = {
            **_effective_keys(peer, {}),
            "start": region.start_seconds,
            "length": region.length_seconds,
        }
        await begin(
            services, peer, request, services.specs.edit, region.audio, request.values["text"], keys
        )


async def again(services: Services, peer: Peer, request: Request) -> None:
    """Run an earlier job again, with changes."""
    async with peer.session.turn:
        if not await answer_repeat(services, peer, request):
            await _begin_again(services, peer, request)


async def _begin_again(services: Services, peer: Peer, request: Request) -> None:
    old = await find(services, peer, request.values["old_id"])
    if old is None or not isinstance(old.spec, JobSpec):
        raise RequestError(
            "unknown_job",
            f"no job of yours is called {request.values['old_id']!r}; "
            f"{ROOT}/take/list shows what there is",
        )
    job = await begin(services, peer, request, services.specs.again, old.spec, request.keys)
    if isinstance(job.spec, JobSpec) and job.spec.audio != old.spec.audio:
        services.delivery.send(
            peer,
            "log",
            2,
            f"{job.spec.audio.path} has changed since {old.client_id!r} "
            "was made, so the outcome will differ",
        )


async def begin(
    services: Services,
    peer: Peer,
    request: Request,
    make_spec: Callable[P, JobSpec],
    *arguments: P.args,
    **named: P.kwargs,
) -> Job:
    """Make the job's description and take it on. Raises RequestError."""
    services.dispatcher.check_room()
    spec = await services.file_threads(make_spec, *arguments, **named)
    check_model(spec.model, services.executor.info.models)
    name, client = new_name(), peer.session.client
    context = {
        "client": client,
        "client_id": request.job_id,
        "command": request.address,
        "tempo_bpm": spec.options.get("tempo"),
        "beats_start": spec.beats_start,
    }
    record = JobRecord(
        name,
        client,
        request.id or name,
        request.address,
        region_name(spec.audio.path, spec.start_seconds, spec.length_seconds),
        _fingerprint(request),
        replace(spec, context=context),
        time.time(),
    )
    job = Job(record, peer)
    await services.dispatcher.accept(job)
    return job


def _effective_keys(peer: Peer, keys: dict[str, Any]) -> dict[str, Any]:
    """The client's defaults, then its region's keys, then the request's own."""
    session = peer.session
    return {**session.defaults, **(session.region.keys if session.region else {}), **keys}


def _fingerprint(request: Request) -> str:
    return fingerprint(request.address, {**request.values, "keys": request.keys})


async def answer_repeat(services: Services, peer: Peer, request: Request) -> bool:
    """Answer a request whose job exists, and say whether it does.

    That is a lost packet sent again, or a client that comes back after a crash. While a job lives
    or is remembered, its id stands for it, whatever comes with it. Later the id is free again for
    another request, or for a file that has changed: a patch that is opened anew counts from 1.
    """
    if not request.id:
        return False
    job = services.registry.find(peer.session.client, request.job_id)
    if job is None:
        job = await _recall(services, peer.session.client, request.job_id)
        if (
            job is None
            or job.record.fingerprint != _fingerprint(request)
            or await _has_changed(services, job)
        ):
            return False
    elif job.record.fingerprint != _fingerprint(request):
        services.delivery.send(
            peer,
            "log",
            2,
            f"id {request.id} is taken by an earlier request that differs from this "
            "one, which is ignored; give each job an id of its own, or 0",
        )
    if job.state == ENDED:
        services.delivery.answer(job, peer)
    else:
        job.peer = peer
        if job.state != ACCEPTING:  # its first ack is on its way
            services.dispatcher.acknowledge(job)
    return True


async def _has_changed(services: Services, job: Job) -> bool:
    """Whether the file of an old job is another one now; a missing file has not changed."""
    if not isinstance(job.spec, JobSpec):
        return False
    audio = job.spec.audio
    try:
        return await services.file_threads(AudioFile.at, audio.path) != audio
    except OSError:
        return False


async def find(services: Services, peer: Peer, identity: int | str) -> Job | None:
    """A job in memory or in the journal, by the client's own id or by the server's name."""
    return services.registry.find(peer.session.client, identity) or await _recall(
        services, peer.session.client, identity
    )


async def _recall(services: Services, client: str, identity: int | str) -> Job | None:
    """A job that only the journal remembers, as it was when it ended."""
    return await services.journal_thread(_from_journal, services.journal, client, identity)


def _from_journal(journal: Journal, client: str, identity: int | str) -> Job | None:
    record = journal.find(client, identity) or (
        journal.job(identity) if isinstance(identity, str) else None
    )
    end = journal.end_of(record.job) if record else None
    if record is None or end is None:
        return None
    return Job(record, None, state=ENDED, results=journal.results(record.job), end=end)


async def query(services: Services, peer: Peer, request: Request) -> None:
    """Where is it? After its end, what it made and how it ended."""
    job = await find(services, peer, request.job_id)
    if job is None:
        raise RequestError("unknown_job", f"no job of yours is called {request.id!r}")
    if job.end:
        services.delivery.answer(job, peer)
        return
    if job.record.client == peer.session.client:
        job.peer = peer
    services.delivery.send(
        peer,
        "job/info",
        job.client_id,
        job.public_state,
        float(job.fraction),
        services.dispatcher.position(job),
    )


def got(services: Services, peer: Peer, request: Request) -> None:
    """The client has the end of this job."""
    job = services.registry.find(peer.session.client, request.job_id)
    if job and job.end and request.values["serial"] in (0, job.end.serial):
        services.delivery.stop_repeating(job)


async def cancel(services: Services, peer: Peer, request: Request) -> None:
    """Stop one job, load or download."""
    job = services.registry.find(peer.session.client, request.job_id)
    was_alive = job is not None and services.dispatcher.cancel(job)
    was_alive = await services.downloads.on_reply(peer, request) or was_alive
    services.delivery.send(peer, "done", request.address, request.id, int(was_alive))


def cancel_all(services: Services, peer: Peer, request: Request) -> None:
    """Stop everything of this client."""
    cancelled = sum(
        services.dispatcher.cancel(job) for job in services.registry.living(peer.session.client)
    )
    services.delivery.send(peer, "done", request.address, 0, cancelled)


async def take_list(services: Services, peer: Peer, request: Request) -> None:
    """What was made of a region, newest first; without a current region, of all."""
    region = request.values["region"] or (peer.session.region.name if peer.session.region else "")
    takes = await services.journal_thread(
        services.journal.takes, peer.session.client, region, MAX_TAKES_LISTED
    )
    for record, end in takes:
        preset = record.spec.preset
        services.delivery.send(
            peer,
            "take/item",
            record.client_id,
            record.job,
            record.region,
            record.spec.text,
            preset.name[:64] if preset else "",
            end.seed,
            end.results,
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            int(record.in_use),
        )
    services.delivery.send(peer, "take/list.end", len(takes))


async def take_use(services: Services, peer: Peer, request: Request) -> None:
    """Go back to a take."""
    job = await find(services, peer, request.job_id)
    if job is None or not job.results or job.end is None:
        raise RequestError(
            "unknown_take",
            f"no take of yours is called {request.id!r}; {ROOT}/take/list shows them",
        )
    await services.journal_thread(services.journal.use_take, job.record)
    services.delivery.answer(job, peer, command=request.address)


VERBS = {
    "edit": edit,
    "say": say,
    "again": again,
    "job/query": query,
    "got": got,
    "cancel": cancel,
    "cancel/all": cancel_all,
    "take/list": take_list,
    "take/use": take_use,
}
