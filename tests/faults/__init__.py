"""Faults made on purpose, in numbers: `python -m tests.faults NAME COUNT` makes the figures of docs/reliability.md."""
