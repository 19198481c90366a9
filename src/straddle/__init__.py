"""Straddle: an options exchange that anyone can run as its own Ethereum rollup."""

__version__ = "0.1.0"
