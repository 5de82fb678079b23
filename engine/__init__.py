"""How does a region become stems? Region contract, model families, conditioning, samplers, runtimes, the worker.

Importing this package loads neither a runtime nor a model.
"""
