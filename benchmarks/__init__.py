"""The figures of this project, each measured beside its peer in the same run. `python -m benchmarks --help`."""
