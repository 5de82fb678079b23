"""Who computes: one local worker process (`local`), or replicas on a Ray cluster (`ray*`).

    dispatcher -> executor (server's process) == Ray Serve's router ==> replica (any machine) -> engine.worker.Worker
                  journal, takes                                       temporary folder

Nothing here imports Ray before `--executor ray` asks for it. docs/cluster.md has the commands.
"""
