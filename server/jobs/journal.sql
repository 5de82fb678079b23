-- All that the journal asks SQLite. Each query has a name, and a line that says what it is for.
-- `server.jobs.database` reads this file; a line "-- name --" begins a query.

-- schema --
-- The tables of a new journal.
create table jobs (
    number integer primary key,         -- order of arrival
    job text not null unique,           -- our name
    client text not null,               -- who, see server.wire.sessions
    client_id text not null,            -- theirs, as JSON: 7 and "7" differ
    command text not null,
    region text not null,
    fingerprint text not null,          -- of the request, to tell a repeat from a re-used id
    spec text not null,                 -- JSON: all it takes to run it
    state text not null,                -- queued, running, done, failed
    created real not null,              -- seconds since 1970
    started real,
    in_use integer not null default 0,  -- chosen with /take/use
    pruned integer not null default 0   -- its files are being deleted, then this row
);
create index jobs_by_id on jobs (client, client_id);
create index jobs_by_region on jobs (client, region);
create index jobs_by_state on jobs (state);
create table results (
    job text not null references jobs (job),
    position integer not null,
    stem text not null,
    path text not null,
    rate_hz integer not null,
    channels integer not null,
    frames integer not null,
    start_seconds real not null,
    beats_start real not null,
    primary key (job, position)
);
create table ends (
    serial integer primary key autoincrement,
    job text not null unique references jobs (job),
    code text not null,                 -- empty: done
    message text not null,
    seed integer not null,
    manifest text not null,
    seconds real not null,
    results integer not null
);
create table clients (
    address text primary key,           -- where its messages come from
    client text not null,
    reply_port integer not null,
    level integer not null,
    seen real not null
);
create table sessions (
    client text primary key,
    number integer not null,
    state text not null,                -- JSON: what /set and /region have set
    seen real not null
);

-- upgrade_1 --
-- From version 1 to 2: jobs can be marked as pruned, and sessions leave the clients' table.
alter table jobs add column pruned integer not null default 0;
create table sessions (client text primary key, number integer not null, state text not null, seen real not null);
insert or replace into sessions select client, number, state, seen from clients order by seen;
create table clients2 (address text primary key, client text not null, reply_port integer not null,
    level integer not null, seen real not null);
insert into clients2 select address, client, reply_port, level, seen from clients;
drop table clients;
alter table clients2 rename to clients;

-- add_job --
-- Accept a job.
insert into jobs (
    job, client, client_id, command, region, fingerprint, spec, created, state, started, in_use
) values (?, ?, ?, ?, ?, ?, ?, ?, 'queued', null, 0);

-- start_job --
-- The worker hears of it next. The spec names the file as it is now.
update jobs set state = 'running', started = ?, spec = ? where job = ?;

-- close_job --
-- It has ended: done or failed.
update jobs set state = ? where job = ?;

-- rename_client --
-- A job follows a client that has told its name.
update jobs set client = ? where job = ?;

-- count_jobs --
-- How many jobs stand in each state.
select state, count(*) from jobs where not pruned group by state;

-- list_unfinished --
-- Jobs without an end, in the order of their arrival.
select job, client, client_id, command, region, fingerprint, spec, created, state, started, in_use
from jobs
where state in ('queued', 'running')
order by number;

-- find_job_by_id --
-- A client's latest job of an id.
select job, client, client_id, command, region, fingerprint, spec, created, state, started, in_use
from jobs
where client = ? and client_id = ? and not pruned
order by number desc
limit 1;

-- find_job --
-- A job by our name of it.
select job, client, client_id, command, region, fingerprint, spec, created, state, started, in_use
from jobs
where job = ? and not pruned;

-- list_takes --
-- A client's jobs that made something, newest first; of all regions where none is named.
select job, client, client_id, command, region, fingerprint, spec, created, state, started, in_use
from jobs
where client = ? and not pruned and (? = '' or region = ?)
    and exists (select 1 from ends where ends.job = jobs.job and ends.results > 0)
order by number desc
limit ?;

-- use_take --
-- One take of its region is the chosen one.
update jobs set in_use = (job = ?) where client = ? and region = ?;

-- add_result --
-- One finished file.
insert or ignore into results values (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- list_results --
-- What a job has made so far.
select position, stem, path, rate_hz, channels, frames, start_seconds, beats_start
from results
where job = ?
order by position;

-- add_end --
-- How a job ended; the row number is the serial that clients see.
insert into ends (job, code, message, seed, manifest, seconds, results) values (?, ?, ?, ?, ?, ?, ?);

-- find_end --
-- How a job ended, nothing while it lives.
select code, message, seed, manifest, seconds, results, serial from ends where job = ?;

-- list_ended --
-- Jobs that could be forgotten, oldest first.
select job, created, in_use
from jobs
where state in ('done', 'failed') and not pruned
order by number;

-- mark_pruned --
-- A job is forgotten, though its files may still be there. Never a take in use.
update jobs set pruned = 1 where job = ? and not in_use and state in ('done', 'failed');

-- list_pruned --
-- Jobs whose files are to be deleted.
select job from jobs where pruned order by number;

-- drop_results --
-- The files of a job are gone.
delete from results where job = ?;

-- drop_end --
-- The files of a job are gone.
delete from ends where job = ?;

-- drop_job --
-- The files of a job are gone.
delete from jobs where job = ?;

-- remember_client --
-- A registration.
insert or replace into clients values (?, ?, ?, ?, ?);

-- drop_old_clients --
-- Only so many registrations are kept: those that were heard of last.
delete from clients
where address in (select address from clients order by seen desc limit -1 offset ?);

-- forget_client --
-- A registration is taken back.
delete from clients where address = ?;

-- list_clients --
-- Registrations not made long before the latest, the latest last.
select address, client, reply_port, level
from clients
where seen > (select max(seen) from clients) - ?
order by seen;

-- remember_session --
-- What a client has set.
insert or replace into sessions values (?, ?, ?, ?);

-- drop_old_sessions --
-- Only so many are kept: those that were heard of last.
delete from sessions
where client in (select client from sessions order by seen desc limit -1 offset ?);

-- list_sessions --
-- What clients have set, the latest last.
select client, number, state from sessions order by seen;
