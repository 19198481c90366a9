"""A watcher: reads layer 1, checks every batch against the statement, and challenges, proves and finalises if asked to."""
