"""Layer 1: the development chain, JSON-RPC, contracts, deployment, typed calls, and the reader that finds a rollup's data again."""
