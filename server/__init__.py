"""Who is served, in which order, and what is remembered?

    transports -> sessions -> verbs -> dispatcher -> executor -> worker process
                                 |          |
                               recipes    journal, takes

Rule: nothing here imports a model, a runtime or numpy. Audio is passed on by path; the worker opens
it.

Threads and processes:
* The event loop's thread owns every object here but the journal. It reads messages, decides, answers; it never
  waits for a disk and never computes.
* The journal thread, one, owns the SQLite connection. Calls are made in order and return when they
are on the disk.
* File threads, a few, look at paths, wait for files to settle, write uploads, copy stems. They
share nothing.
* The worker process owns the device. It is started, fed one request at a time over a pipe, watched, and replaced when
  it dies. It ends when its standard input does, so it never outlives the server.

`server.app` has the two ways in: `serve(config)` blocks, `Server(config)` is an async context
manager.
"""
