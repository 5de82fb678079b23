"""The benchmarks: one module each, with `measure(setting)`."""
