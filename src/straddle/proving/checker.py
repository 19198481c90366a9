"""A plain-Python checker of the batch statement (docs/protocol/statement.md), table by table and rule by rule.

It reads a witness only, uses exact integers where the circuit uses arguments over committed cells, and knows nothing of the transition: what the sequencer
did is one way to such tables. The differential tests hold it against the circuit. The tables' rules are in the modules checker_*.
"""

from __future__ import annotations

from straddle.commitments.body import encode_body
from straddle.commitments.challenge import commitment, evaluate
from straddle.commitments.effects import encode_effects
from straddle.commitments.preset import Preset
from straddle.proving.checker_accounts import check_accounts, check_keys
from straddle.proving.checker_positions import check_instruments, check_listings, check_positions
from straddle.proving.checker_requests import check_requests
from straddle.proving.checker_tables import BrokenRule, Failure, Tables, elements, fail, require, width
from straddle.proving.checker_trades import check_fills, check_legs, check_orders, check_signatures
from straddle.proving.vector import body_of, effects_of
from straddle.proving.witness import TABLES, Witness

__all__ = ["Failure", "check"]

HEADER_WIDTHS = (
    ("domain", 248),
    ("batch_number", 64),
    ("epoch", 64),
    ("time_ms", 48),
    ("first_sequence", 64),
    ("last_sequence", 64),
    ("log_root", 248),
    ("k_im_bps", 16),
    ("k_mm_bps", 16),
    ("discount_bps", 16),
    ("auction_ms", 32),
    ("risk_digest", 248),
    ("old_listing_count", 32),
    ("old_queue_pointer", 64),
)


def check(witness: Witness, preset: Preset) -> Failure | None:
    """The first rule of the statement that the witness breaks, or None when it satisfies all."""
    tables = Tables(witness, preset)
    try:
        _check_rows(tables)
        _check_header(tables)
        check_keys(tables)
        check_instruments(tables)
        check_listings(tables)
        check_signatures(tables)
        check_orders(tables)
        check_legs(tables)
        check_fills(tables)
        check_requests(tables)
        check_positions(tables)
        check_accounts(tables)
        _check_vector(tables)
    except BrokenRule as broken:
        return broken.failure
    return None


def _check_rows(tables: Tables) -> None:
    for table in TABLES:
        require(len(getattr(tables.witness, table)) <= getattr(tables.preset, table), f"{table}.rows", "more rows than the preset has")


def _check_header(tables: Tables) -> None:
    """Widths and rule 3. Roots and params_hash (rules 1 and 2) are what the vector is made from."""
    head = tables.header
    for name, bits in HEADER_WIDTHS:
        width("header", name, getattr(head, name), bits)
    roots = (head.old_accounts_root, head.new_accounts_root, head.old_listings_root, head.new_listings_root, head.risk_root)
    elements("header", "a root", roots)
    require(head.discount_bps != 0 and head.auction_ms != 0, "header.3", f"discount_bps {head.discount_bps}, auction_ms {head.auction_ms}")


def _check_vector(tables: Tables) -> None:
    public = tables.witness.public
    try:
        effects = encode_effects(effects_of(tables.witness, tables.preset), tables.preset)
        body = encode_body(body_of(tables.witness), tables.preset)
    except ValueError as error:
        fail("vector", str(error))
    require(commitment(effects, body) == public.c, "vector", "C is not the sponge of the data")
    require(evaluate(effects, public.z) == public.y_effects, "vector", "y_effects is not the effects' value at z")
    require(evaluate(body, public.z) == public.y_body, "vector", "y_body is not the body's value at z")
    width("vector", "beneficiary", public.beneficiary, 160)
