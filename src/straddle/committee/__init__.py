"""A member of a validium's data committee: keeps what the operator does not put on layer 1, and certifies it."""
