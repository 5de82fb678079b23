"""The server: OSC and HTTP in, jobs in order, stems out.

The rooms, from low to high. A room imports lower ones only, and there is no cycle, imports under
TYPE_CHECKING and inside functions counted too:

    errors threads tasks paths child    small things that anybody may use
    config logs status                  options, log lines, figures about this machine
    wire                                sockets, sessions, the password, discovery
    files                               allowed paths, complete files, uploads, downloads
    compute                             what runs a job: a worker process, or a Ray cluster
    jobs                                queue, journal, delivery, recovery, retention
    live                                live audio, in a process of its own
    services                            what the rooms above may reach, in one typed object
    housekeeping                        what a server does by itself every so often
    verbs                               what each address does, and the way in for packets
    http page                           the same verbs as JSON, and the page
    app                                 builds everything; only serving and cli import it
    serving                             runs one server in the foreground
    cli                                 the command line

A message goes from a transport to `verbs.inbox`, and to its verb. A verb answers through
`jobs.delivery`, or gives a job to the dispatcher, which runs it on the executor, writes what
happens to the journal, and delivers the stems.

Nothing here imports a model, a runtime or numpy, but for the processes of live audio and of Ray's
replicas. Audio is passed on by path.

Threads and processes:

* The event loop's thread owns every object except the journal. It reads messages, decides and
  answers. It never waits for a disk and never computes.
* The journal thread, one, owns the SQLite connection. Calls run in order, and each is on the disk
  when it returns.
* The file threads, a few, look at paths, read headers, write uploads and copy stems. They share
  nothing.
* The log thread writes the log file.
* The worker process owns the device. It gets one request at a time over a pipe, is watched, and is
  replaced when it dies. It ends with its standard input, so it never outlives the server.
* The live audio process owns the sound devices, while live audio runs.
"""
