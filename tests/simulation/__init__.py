"""A seeded simulator of the whole sequencer with faults (`python -m tests.simulation --help`)."""
