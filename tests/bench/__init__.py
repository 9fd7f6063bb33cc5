"""Benchmarks: `make bench`, or `python -m tests.bench`. They never run with the tests."""
