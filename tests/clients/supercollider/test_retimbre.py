"""Retimbre in a real sclang with a real scsynth, against a real server."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from benchmarks.tools.relay import LossyRelay
from engine.families.nano import family as nano
from tests.clients.supercollider.conftest import FRAMES
from tests.clients.supercollider.language import RATE_HZ
from tests.peers.servers import double_command, nano_command, running

SHAPE = "[~stem.numFrames, ~stem.numChannels, ~stem.sampleRate.asInteger]"


def test_the_classes_compile_without_a_complaint(language):
    start = next(i for i, line in enumerate(language.console) if "compiling class library" in line)
    end = language.console.index("compile done")
    complaints = [
        line for line in language.console[start:end] if "WARNING" in line or "ERROR" in line
    ]
    assert not complaints
    assert any("clients/supercollider" in line for line in language.console[start:end])


def test_a_buffer_goes_out_and_its_stem_comes_back_in_another(sc, content, tones):
    assert sc(f'~job = r.edit(b, "a violin"); ~stem = ~job.wait; {SHAPE}') == [FRAMES, 2, RATE_HZ]
    assert np.array_equal(content("~stem"), tones), "as the double copies, sample for sample"
    assert np.array_equal(content("b"), tones)
    assert sc("~stem.bufnum != b.bufnum and: { ~job.state == 'done' }") is True


def test_nano_gives_as_many_frames_as_it_got(language, sc, content, tmp_path):
    if nano.missing():
        pytest.skip(nano.missing())
    with running(nano_command(tmp_path, tmp_path), tmp_path) as port:
        assert sc(
            f'n = Retimbre(NetAddr("127.0.0.1", {port}));'
            f'~stem = n.edit(b, "turn this into a flute", steps: 2).wait; {SHAPE}'
        ) == [FRAMES, 2, RATE_HZ]
        sc("n.free")
    assert np.isfinite(content("~stem")).all()


def test_the_functions_are_called_and_know_all_about_the_job(sc):
    stages, is_same, seed, manifest = sc("""
        var stages = [], is_same;
        ~job = r.edit(b, "slow 4", seed: 7, strength: 0.5, fidelity: 0.25, keys: [\\tempo, 120],
            action: { |stem, job| is_same = (stem == job.stems[0]) and: { job == ~job } },
            progress: { |fraction, stage| stages = stages.add([fraction, stage]) });
        ~job.wait;
        [stages, is_same, ~job.seed, ~job.manifest]""")
    assert stages == sorted(stages, key=lambda each: each[0]) and stages[-1] == [1, "done"]
    assert ("generating" in [stage for _, stage in stages], is_same, seed) == (True, True, 7)
    edit = json.loads(Path(manifest).read_text())["edit"]
    assert edit["text"] == "slow 4" and edit["knobs"]["strength"] == 0.5
    assert edit["knobs"]["fidelity"] == 0.25


def test_only_a_part_of_the_buffer_goes_out(sc, content, tones):
    sc('~stem = r.edit(b, "a violin", startFrame: 1000, numFrames: 501).wait')
    assert np.array_equal(content("~stem"), tones[1000:1501])


def test_a_failure_has_a_code_and_a_reason(sc):
    assert sc(
        '~job = r.edit(b, "fail out_of_memory", failure: { |... why| ~why = why }); ~job.wait; '
        "[~why, ~job.state, ~job.code]"
    ) == [["out_of_memory", "as you wished"], "failed", "out_of_memory"]
    why = sc('r.edit(b, "a violin", preset: "hrap", failure: { |... why| ~why = why }).wait; ~why')
    assert why[0] == "unknown_preset"


def test_a_cancelled_job_ends_so_and_the_others_go_on(sc):
    assert sc("""
        var slow = r.edit(b, "slow 400",
            failure: { |code| ~code = code }, progress: { slow.cancel });
        var other = r.edit(b, "a flute");
        [slow.wait, ~code, other.wait.numFrames]""") == [None, "cancelled", FRAMES]


def test_all_jobs_are_cancelled_at_once(sc):
    assert (
        sc("""
        var jobs = { r.edit(b, "slow 400", failure: {}) } ! 3;
        jobs[0].progress = { r.cancel };
        jobs.collect { |job| job.wait; job.code }""")
        == ["cancelled"] * 3
    )


def test_two_clients_in_one_language_do_not_disturb_each_other(sc, server_port):
    assert sc(f"""
        var other = Retimbre(NetAddr("127.0.0.1", {server_port})), ends = [], jobs;
        r.set(\\strength, 0.25);
        jobs = [r.edit(b, "slow 5", action: {{ ends = ends.add(1) }}),
            other.edit(b, "a flute", numFrames: 99, action: {{ ends = ends.add(2) }})];
        jobs.do(_.wait);
        other.free;
        [jobs[0].stems[0].numFrames, jobs[1].stems[0].numFrames, ends.sort, other.defaults.size]
        """) == [FRAMES, 99, [1, 2], 0]


def test_again_with_another_seed(sc):
    first, second, seed, frames = sc("""
        var job = r.edit(b, "a violin", seed: 3), next;
        job.wait;
        next = r.again(job, [\\seed, 5]);
        [job.results[0].path, next.wait !? { next.results[0].path }, next.seed,
            next.stems[0].numFrames]""")
    assert (first != second, seed, frames) == (True, 5, FRAMES)


def test_styles_are_listed_chosen_and_blended(sc):
    names, first, blended = sc("""
        var found, condition = Condition.new, job;
        r.presets { |all| found = all; condition.unhang };
        condition.hang;
        r.blend(\\harp, 0.7, \\pan_flute, 0.3);
        job = r.edit(b, "a garden");
        job.wait;
        r.preset = nil;
        [found.collect(_.name), found[0].title, job.manifest]""")
    assert "harp" in names and names == sorted(names) and first
    assert "pan_flute" in Path(blended).read_text()


@pytest.mark.parametrize("seed", range(2))
def test_a_network_that_loses_packets_costs_only_time(sc, server_port, content, tones, seed):
    with LossyRelay(server_port, loss=0.15, seed=seed) as relay:
        ends = sc(f"""
            var ends = 0;
            n = Retimbre(NetAddr("127.0.0.1", {relay.port}));
            4.do {{ ~stem = n.edit(b, "a violin", action: {{ ends = ends + 1 }}).wait }};
            n.free;
            ends""")
        assert relay.lost and ends == 4
    assert np.array_equal(content("~stem"), tones)


def test_stopping_all_sound_does_not_stop_a_job(sc):
    sc("""
        var hasStopped = false;
        ~job = r.edit(b, "slow 10",
            progress: { if(hasStopped.not) { hasStopped = true; CmdPeriod.run } });
        0""")
    assert sc("~job.wait.numFrames") == FRAMES


def test_a_server_that_dies_ends_the_job(language, sc, tmp_path):
    with running(double_command(tmp_path, tmp_path), tmp_path, signal.SIGKILL) as port:
        assert (
            sc(f"""
            var condition = Condition.new;
            n = Retimbre(NetAddr("127.0.0.1", {port}));
            ~job = n.edit(b, "slow 9999",
                progress: {{ condition.unhang }}, failure: {{ |code| ~code = code }});
            condition.hang;
            ~job.state""")
            == "running"
        )
    code = sc(
        "RetimbreJob.silenceSeconds = 2; ~job.wait; RetimbreJob.silenceSeconds = 10; n.free; ~code"
    )
    assert code == "timed_out"


def test_the_help_is_rendered_without_a_complaint(language, tmp_path):
    before = len(language.console)
    language.run(f"""
        var condition = Condition.new;
        SCDoc.helpTargetDir = "{tmp_path}";
        {{
            ["Retimbre", "RetimbreJob"].do {{ |name|
                SCDoc.parseAndRender(SCDoc.documents["Classes/" ++ name])
            }};
            condition.unhang
        }}.fork(AppClock);
        condition.hang""")
    assert not [line for line in language.console[before:] if "WARNING" in line or "ERROR" in line]
    page = (tmp_path / "Classes" / "Retimbre.html").read_text()
    assert "turn this into a violin" in page and "startFrame" in page
