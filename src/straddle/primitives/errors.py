"""What an error is that whoever runs a command can act on."""

from __future__ import annotations


class Actionable(Exception):
    """Its message names what is wrong and what was expected. A command shows it as one line, without a trace."""
