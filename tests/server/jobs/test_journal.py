"""The journal on a real disk."""

import dataclasses
import sqlite3

import pytest

from server.jobs import database as module
from server.jobs.journal import Journal, JournalError
from server.jobs.records import End, JobRecord, Result
from server.wire.known import KnownClient, KnownSession
from tests.server.clients import job_spec


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite3"


@pytest.fixture
def journal(path):
    journal = Journal(path)
    yield journal
    journal.close()


def record(job="job-1", client="here/max", client_id=7, **values):
    return JobRecord(
        job, client, client_id, "/retimbre/edit", "region-1", "abc", job_spec(), 1000.0, **values
    )


RESULT = Result(0, "violin", "/takes/a.wav", 48000, 2, 100, 1.5, 4.0)


def test_what_goes_in_comes_out_after_it_was_opened_again(journal, path):
    journal.add_job(record())
    journal.start_job("job-1", record().spec)
    journal.add_result("job-1", RESULT)
    end = journal.end_job("job-1", End(seed=3, manifest="/m.json", seconds=1.0, results=1))
    journal.close()
    again = Journal(path)
    assert again.find("here/max", 7).state == "done"
    assert again.results("job-1") == [RESULT]
    assert again.end_of("job-1") == end and end.serial > 0
    again.close()


def test_a_job_ends_once_and_keeps_its_first_end(journal):
    journal.add_job(record())
    first = journal.end_job("job-1", End(code="cancelled", message="stopped"))
    assert journal.end_job("job-1", End()) == first


def test_serials_grow(journal):
    for number in range(3):
        journal.add_job(record(f"job-{number}", client_id=number))
    serials = [journal.end_job(f"job-{number}", End()).serial for number in (2, 0, 1)]
    assert serials == sorted(set(serials))


def test_numbers_strings_and_clients_keep_apart(journal):
    journal.add_job(record("job-1", client_id=7))
    journal.add_job(record("job-2", client_id="7"))
    journal.add_job(record("job-3", "udp:127.0.0.1:4000", client_id=7))
    assert [
        journal.find(*who).job
        for who in (("here/max", 7), ("here/max", "7"), ("udp:127.0.0.1:4000", 7))
    ] == ["job-1", "job-2", "job-3"]
    assert journal.find("here/pd", 7) is None


def test_the_latest_job_of_an_id_is_found(journal):
    journal.add_job(record("job-1"))
    journal.add_job(record("job-2"))
    assert journal.find("here/max", 7).job == "job-2"


def test_unfinished_jobs_are_found_in_order(journal):
    for number in range(3):
        journal.add_job(record(f"job-{number}", client_id=number))
    journal.start_job("job-0", record().spec)
    journal.end_job("job-1", End())
    assert [(each.job, each.state) for each in journal.list_unfinished()] == [
        ("job-0", "running"),
        ("job-2", "queued"),
    ]


def test_takes_are_jobs_that_made_something(journal):
    for number, results in enumerate((1, 0, 2)):
        journal.add_job(record(f"job-{number}", client_id=number))
        journal.end_job(f"job-{number}", End(results=results))
    assert [take.job for take, _ in journal.takes("here/max", "", 10)] == ["job-2", "job-0"]
    assert [take.job for take, _ in journal.takes("here/max", "", 1)] == ["job-2"]
    assert journal.takes("here/max", "region-2", 10) == journal.takes("here/pd", "", 10) == []


def test_one_take_of_a_region_is_in_use(journal):
    for number in range(2):
        journal.add_job(record(f"job-{number}", client_id=number))
        journal.end_job(f"job-{number}", End(results=1))
    journal.use_take(journal.job("job-0"))
    journal.use_take(journal.job("job-1"))
    assert [take.in_use for take, _ in journal.takes("here/max", "region-1", 10)] == [True, False]


def test_the_log_is_written_into_the_file_after_some_ends_and_not_before_an_ack(
    journal, path, monkeypatch
):
    monkeypatch.setattr(module, "ENDS_BETWEEN_CHECKPOINTS", 20)
    before = path.stat().st_size
    for index in range(20):
        journal.add_job(record(f"job-{index}", client_id=index))
        assert path.stat().st_size == before
        journal.end_job(f"job-{index}", End(code="cancelled", message="by the client"))
    assert path.stat().st_size > before


def test_registrations_are_kept_for_a_while(journal):
    known = KnownClient("udp:127.0.0.1:4000", "here/max", 11021, 1)
    journal.remember_client(known)
    journal.remember_client(dataclasses.replace(known, level=2))
    assert journal.clients(3600.0) == [dataclasses.replace(known, level=2)]
    journal.forget_client(known.address)
    assert journal.clients(3600.0) == []


def test_what_clients_have_set_is_kept_for_the_latest_of_them(journal, monkeypatch):
    monkeypatch.setattr("server.jobs.journal.MAX_CLIENTS", 2)
    for number, name in enumerate(("here/a", "here/b", "here/a", "here/c")):
        journal.remember_session(
            KnownSession(name, number, {"defaults": {"seed": number}, "region": None})
        )
    assert [(each.client, each.state["defaults"]["seed"]) for each in journal.sessions()] == [
        ("here/a", 2),
        ("here/c", 3),
    ]


def test_a_job_is_marked_before_its_files_go_and_never_when_it_is_in_use(journal):
    for number in range(3):
        journal.add_job(record(f"job-{number}", client_id=number))
    for number in range(2):
        journal.add_result(f"job-{number}", RESULT)
        journal.end_job(f"job-{number}", End(results=1))
    journal.use_take(journal.job("job-1"))
    journal.mark_pruned(["job-0", "job-1", "job-2"])
    assert (
        journal.list_pruned() == ["job-0"]
        and journal.job("job-0") is None
        and journal.find("here/max", 0) is None
    )
    journal.drop_pruned(["job-0"])
    assert journal.list_pruned() == [] and journal.results("job-0") == []
    assert [take.job for take, _ in journal.takes("here/max", "", 10)] == ["job-1"]


def test_the_journal_of_version_1_is_taken_over(journal, path):
    journal.close()
    with sqlite3.connect(path) as db:
        db.executescript("""
            drop table sessions; drop table clients; alter table jobs drop column pruned;
            create table clients (address text primary key, client text not null,
                number integer not null, reply_port integer not null, level integer not null,
                state text not null, seen real not null);
            insert into clients values
                ('udp:127.0.0.1:4000', 'here/max', 7, 11021, 1, '{"defaults": {}}', 5.0);
            pragma user_version = 1;""")
    db.close()
    again = Journal(path)
    assert again.clients(60.0) == [KnownClient("udp:127.0.0.1:4000", "here/max", 11021, 1)]
    assert again.sessions() == [KnownSession("here/max", 7, {"defaults": {}})]
    assert again.list_pruned() == [] and again.check() == "ok"
    again.close()


def test_a_second_server_on_the_same_folder_is_refused(journal, path):
    with pytest.raises(JournalError, match="another retimbre server"):
        Journal(path)


def test_a_failed_statement_leaves_nothing_half_done(journal):
    journal.add_job(record())
    with pytest.raises(sqlite3.IntegrityError):
        journal.add_job(record())
    journal.add_job(record("job-2"))
    assert len(journal.list_unfinished()) == 2


def test_a_damaged_file_says_what_to_do(path):
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(JournalError, match="move it away"):
        Journal(path)


def test_a_newer_journal_is_not_touched(path):
    Journal(path).close()
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()
    with pytest.raises(JournalError, match="newer"):
        Journal(path)
