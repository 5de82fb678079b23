"""What happens to a job: described, queued, run, told, kept.

spec        what a job is asked to do, from a request or from the journal
job         a job in memory, and the registry of them all
queue       whose job is next
dispatcher  accepted -> settled -> queued -> running -> ended
journal     what must survive a power cut
recovery    what becomes of the jobs of an earlier life
delivery    what a client hears about its jobs
stems       where stems lie and what they are called
retention   which takes are kept
metrics     what the server counts
"""
