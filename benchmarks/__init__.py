"""What things cost here: `make bench` (docs/reference/benchmarks.md)."""
