"""What benchmarks are built from: processes, networks, swarms of clients, random models."""
