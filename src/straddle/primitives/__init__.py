"""Field elements, hashes, Merkle trees, keys and signatures (docs/protocol/hashing.md), computed by the native library."""
