"""Beyond one machine: the executor on Ray Serve. Nothing here imports Ray before `--executor ray`
asks for it.

    dispatcher -> executor (server's process) == Ray Serve's router ==> replica (any machine) -> engine.worker.Worker
                  journal, takes                                       temporary folder
docs/cluster.md has the picture, the commands and the plan of a rack.
"""
