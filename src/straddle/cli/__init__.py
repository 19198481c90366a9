"""The `straddle` command."""
