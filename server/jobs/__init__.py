"""What happens to a job: it is described, queued, run, reported and kept.

spec        what a job is asked to do, from a request or from the journal
records     what the journal remembers of a job
database    the journal's SQLite file, and journal.sql with its queries
journal     what must survive a power cut
recovery    what becomes of jobs that were unfinished when the server ended
job         a job in memory, and the registry of them all
queue       which job is next
dispatcher  accepted -> settled -> queued -> running -> ended
running     how a job runs on the executor
ending      how a job ends: once, in the journal first
delivery    what a client hears about its jobs
stems       where stems lie and what they are called
retention   which takes are kept
metrics     what the server counts
"""
