"""Market makers and takers as pure functions: books and tables in, unsigned orders out. Whoever calls them signs."""
