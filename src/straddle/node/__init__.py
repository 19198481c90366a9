"""Wiring: configuration, traders, the market session, the demo, and verification from layer-1 data."""
