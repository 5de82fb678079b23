"""Music with known notes: made-up scores, instruments, arrangements, rendered by a sampler."""
