-- A journal of version 2, as its server left it when it was killed: job 1 is done, 2 ran, 3 and 4 waited.
BEGIN TRANSACTION;
CREATE TABLE clients (
    address text primary key,           -- where its messages come from
    client text not null,
    reply_port integer not null,
    level integer not null,
    seen real not null
);
INSERT INTO "clients" VALUES('udp:127.0.0.1:57815','here/patch',0,1,1.79613211256642413141e+09);
CREATE TABLE ends (
    serial integer primary key autoincrement,
    job text not null unique references jobs (job),
    code text not null,                 -- empty: done
    message text not null,
    seed integer not null,
    manifest text not null,
    seconds real not null,
    results integer not null
);
INSERT INTO "ends" VALUES(1,'job-e9486f6652612581','','',7,'@DATA@/takes/job-e9486f6652612581/take-2/manifest.json',0.105044263000309,2);
CREATE TABLE jobs (
    number integer primary key,         -- order of arrival
    job text not null unique,           -- our name
    client text not null,               -- who, see server.sessions
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
INSERT INTO "jobs" VALUES(1,'job-e9486f6652612581','here/patch','1','/retimbre/edit','region-4daa2fc604a266e2','248ff879799a3dce35524d6af86276e84b3dbdfb4e1d7ad97e15078535df1406','{"audio": {"path": "@MUSIC@/a.wav", "device": 65024, "inode": 2163561, "size_bytes": 9644, "modified_ns": 1796132112374927971}, "text": "copy", "preset": {"name": "harp", "title": "Concert harp", "model": "nano", "task": "timbre", "negative_prompt": "", "adapters": [], "soft_prompt": null, "audio_prompt": {"pooling": 1, "scale": 1.0, "fidelity": null}, "guidance": 1.8, "guidance_from": null, "guidance_to": null, "steps": null, "temperature": null, "top_k": null, "seed": null, "licence": "Apache-2.0", "prompts": [{"text": "a concert harp", "weight": 1.0}], "uses_text": false}, "model": "nano", "start": 0.0, "length": 0.0, "takes": 2, "seed": 7, "out": "@MUSIC@", "beats_start": 4.0, "priority": 0, "deadline": 0.0, "keys": {"steps": 3, "strength": 0.5, "format": "flac", "tempo": 120.0}, "context": {"client": "here/patch", "client_id": 1, "command": "/retimbre/edit", "tempo_bpm": 120.0, "beats_start": 4.0}}','done',1.79613211257222604756e+09,1.79613211265663194659e+09,0,0);
INSERT INTO "jobs" VALUES(2,'job-49f7d6311a82f29d','here/patch','2','/retimbre/edit','region-4daa2fc604a266e2','fc1198430e1703d776deb25ce38c0067bf9d9a25a81257ac0b871551c2c67457','{"audio": {"path": "@MUSIC@/a.wav", "device": 65024, "inode": 2163561, "size_bytes": 9644, "modified_ns": 1796132112374927971}, "text": "slow 1000", "preset": null, "model": "nano", "start": 0.0, "length": 0.0, "takes": 1, "seed": 9049749, "out": "", "beats_start": 0.0, "priority": 0, "deadline": 0.0, "keys": {}, "context": {"client": "here/patch", "client_id": 2, "command": "/retimbre/edit", "tempo_bpm": null, "beats_start": 0.0}}','running',1.79613211267921566967e+09,1.79613211268253374097e+09,0,0);
INSERT INTO "jobs" VALUES(3,'job-270df8906fb19df9','here/patch','3','/retimbre/edit','region-a7dd0c1b2ad9cc96','2790d5889526ebc468a6090900118286f3bd946eb10bd23e333774b64e7f0456','{"audio": {"path": "@MUSIC@/a.wav", "device": 65024, "inode": 2163561, "size_bytes": 9644, "modified_ns": 1796132112374927971}, "text": "copy", "preset": {"name": "harp_0.5_banjo_0.5", "title": "Concert harp 50% + Banjo 50%", "model": "nano", "task": "timbre", "negative_prompt": "", "adapters": [], "soft_prompt": null, "audio_prompt": {"pooling": 1, "scale": 1.0, "fidelity": null}, "guidance": 1.8, "guidance_from": null, "guidance_to": null, "steps": null, "temperature": null, "top_k": null, "seed": null, "licence": "Apache-2.0", "prompts": [{"text": "a concert harp", "weight": 0.5}, {"text": "a bluegrass banjo", "weight": 0.5}], "uses_text": false}, "model": "nano", "start": 0.0, "length": 0.05000000074505806, "takes": 1, "seed": 11665045, "out": "", "beats_start": 0.0, "priority": 1, "deadline": 600.0, "keys": {"negative": "noise", "bits": "s16"}, "context": {"client": "here/patch", "client_id": 3, "command": "/retimbre/edit", "tempo_bpm": null, "beats_start": 0.0}}','queued',1.79613211269219923017e+09,NULL,0,0);
INSERT INTO "jobs" VALUES(4,'job-d1b554e6c2022806','here/patch','"four"','/retimbre/edit','region-4daa2fc604a266e2','1fa338be55993fc3c605c45ab1195b42606bb83c374317f2f57b00b8921a2865','{"audio": {"path": "@MUSIC@/a.wav", "device": 65024, "inode": 2163561, "size_bytes": 9644, "modified_ns": 1796132112374927971}, "text": "copy", "preset": null, "model": "nano", "start": 0.0, "length": 0.0, "takes": 1, "seed": 16629125, "out": "", "beats_start": 0.0, "priority": 0, "deadline": 0.0, "keys": {}, "context": {"client": "here/patch", "client_id": "four", "command": "/retimbre/edit", "tempo_bpm": null, "beats_start": 0.0}}','queued',1.79613211269426417343e+09,NULL,0,0);
CREATE TABLE results (
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
INSERT INTO "results" VALUES('job-e9486f6652612581',0,'violin','@MUSIC@/a-copy-e9486f-violin.wav',48000,1,4800,0.0,4.0);
INSERT INTO "results" VALUES('job-e9486f6652612581',1,'violin','@MUSIC@/a-copy-e9486f-violin-2.wav',48000,1,4800,0.0,4.0);
CREATE TABLE sessions (
    client text primary key,
    number integer not null,
    state text not null,                -- JSON: what /set and /region have set
    seen real not null
);
INSERT INTO "sessions" VALUES('here/patch',2,'{"defaults": {}, "region": null}',1.7961321125701105594e+09);
CREATE INDEX jobs_by_id on jobs (client, client_id);
CREATE INDEX jobs_by_region on jobs (client, region);
CREATE INDEX jobs_by_state on jobs (state);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('ends',1);
COMMIT;
pragma user_version = 2;
