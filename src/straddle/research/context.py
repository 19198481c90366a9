"""Published figures of others, for context: read in their public sources in November 2026, not measured here."""

PUBLISHED = (
    "Derive v2 on its own chain, measured with their contracts: a portfolio-margin trade with 16 options on one side 3.8 M gas, with 64 options 14.3 M; a "
    "fully signed match of one option on each side 1.30 M to 1.40 M; standard margin with 16 options 1.1 M.",
    "Hegic on layer 1: selling one option at least 320,000 to 393,000 gas.",
    "Loopring 3: 28 bytes and about 450 gas a trade of spot tokens, without margin. StarkEx documentation: 426 gas a perpetual trade.",
    "OP Succinct Lite: propose 330,000, challenge 85,000, prove 280,000 to 300,000 gas.",
)
