"""Jobs on a peer that loses, delays and mixes up its replies."""

import pytest
from retimbre_client import NoServer, Refused

from osc_protocol import ROOT, encode
from tests.clients.python.peer import EDIT, ack_reply, end_reply, result_reply


def test_edit_returns_what_came_back(connect):
    def answer(request):
        if request.address == EDIT:
            progress = encode(f"{ROOT}/progress", request.id, 0.5, "generating", 1.0, 0)
            return [
                ack_reply(request.id),
                progress,
                result_reply(request.id),
                end_reply(request.id),
            ]
        return []

    client, peer = connect(answer)
    seen = []
    outcome = client.edit("/in.wav", "a violin", on_progress=seen.append, seed=3)
    assert [(stem.name, stem.frames, str(stem.path)) for stem in outcome.stems] == [
        ("violin", 480, "/takes/0.wav")
    ]
    assert (outcome.seed, outcome.seconds, seen[0].stage) == (3, 1.5, "generating")
    assert peer.requests_of("edit")[0].keys == {"seed": 3}


def test_the_end_is_acknowledged_with_its_serial(connect):
    client, peer = connect(
        lambda request: (
            [result_reply(request.id), end_reply(request.id, serial=9)]
            if request.address == EDIT
            else []
        )
    )
    client.edit("/in.wav", "a violin", job_id=4)
    client.ping()
    assert peer.requests_of("got")[0].values == {"id": 4, "serial": 9}


def test_a_lost_request_is_sent_again_under_the_same_id(connect):
    def answer(request):
        if request.address == EDIT and len(peer.requests_of("edit")) == 3:
            return [result_reply(request.id), end_reply(request.id)]
        return []

    client, peer = connect(answer)
    client.edit("/in.wav", "a violin")
    assert len({request.id for request in peer.requests_of("edit")}) == 1


def test_a_lost_result_is_asked_for(connect):
    def answer(request):
        if request.address == EDIT:
            return [
                ack_reply(request.id),
                result_reply(request.id, 0),
                end_reply(request.id, results=2),
            ]
        if request.address == f"{ROOT}/job/query":
            return [
                result_reply(request.id, 0),
                result_reply(request.id, 1),
                end_reply(request.id, results=2),
            ]
        return []

    client, _ = connect(answer)
    assert [stem.index for stem in client.edit("/in.wav", "a violin").stems] == [0, 1]


def test_a_failed_job_raises_its_code(connect):
    client, _ = connect(
        lambda request: [encode(f"{ROOT}/fail", EDIT, request.id, "no_file", "no such file", 1)]
    )
    with pytest.raises(Refused) as refusal:
        client.edit("/in.wav", "a violin")
    assert refusal.value.code == "no_file"


def test_silence_gives_the_job_up(connect):
    client, peer = connect(
        lambda request: [ack_reply(request.id)] if len(peer.requests) == 1 else [],
        silence_seconds=1,
    )
    with pytest.raises(NoServer, match="has said nothing"):
        client.edit("/in.wav", "a violin")


def test_two_jobs_do_not_mix_up_their_stems(connect):
    def answer(request):
        if request.address != EDIT or len(peer.requests_of("edit")) < 2:
            return []
        ids = [each.id for each in peer.requests_of("edit")]
        return [
            result_reply(ids[1], 7),
            result_reply(ids[0], 3),
            end_reply(ids[1]),
            end_reply(ids[0]),
        ]

    client, peer = connect(answer)
    first, second = (
        client.submit("/a.wav", "x", job_id="a"),
        client.submit("/b.wav", "x", job_id="b"),
    )
    assert first.wait().stems[0].index == 3
    assert second.wait().stems[0].index == 7


def test_a_mistake_in_on_progress_cancels_the_job(connect):
    def answer(request):
        if request.address == EDIT:
            return [
                ack_reply(request.id),
                encode(f"{ROOT}/progress", request.id, 0.5, "generating", 1.0, 0),
            ]
        if request.address == f"{ROOT}/cancel":
            return [
                encode(f"{ROOT}/done", request.address, request.id, 1),
                encode(f"{ROOT}/fail", EDIT, request.id, "cancelled", "stopped on request", 2),
            ]
        return []

    def draw(progress):
        raise ZeroDivisionError

    client, peer = connect(answer)
    with pytest.raises(ZeroDivisionError):
        client.edit("/in.wav", "a violin", on_progress=draw)
    assert len(peer.requests_of("cancel")) == 1


def test_a_job_that_was_cancelled_before_the_server_heard_of_it_never_begins(connect):
    def answer(request):
        if request.address == f"{ROOT}/cancel":
            return [encode(f"{ROOT}/done", request.address, request.id, 0)]
        if request.address == f"{ROOT}/job/query":
            return [
                encode(f"{ROOT}/fail", request.address, request.id, "unknown_job", "no such job")
            ]
        return []  # every /edit is lost

    client, peer = connect(answer)
    job = client.submit("/in.wav", "a violin")
    job.cancel()
    with pytest.raises(Refused, match="cancelled"):
        job.wait()
    said = [request.address for request in peer.requests]
    assert EDIT not in said[said.index(f"{ROOT}/cancel") :]


def test_a_request_that_the_protocol_does_not_have_fails_at_once(connect):
    client, peer = connect(lambda request: [])
    with pytest.raises(Refused, match="bad_args: .*did you mean strength"):
        client.submit("/in.wav", "a violin", strenth=1.0)
    assert not peer.requests
