package batch

// The excuses of the tables that hold accounts and what is asked of them.
func init() {
	const out = "enters no argument, only constraints before the challenge"
	const compared = "follows from the committed limbs of a comparison and from cells that are bound"
	const counted = "follows from the other flags of a sum, which are bound"
	excuse(out, "header", "batch_number", "epoch", "first_sequence", "last_sequence", "log_root", "k_im_bps", "k_mm_bps", "discount_bps", "auction_ms",
		"risk_digest", "old_accounts_root", "new_accounts_root", "old_listings_root", "new_listings_root", "old_listing_count", "old_queue_pointer",
		"risk_root", "time_ms")
	excuse(out, "accounts", "created", "rule_b", "rule_c", "old owner", "old action_nonce", "old flags", "new flags", "new key_epoch", "empty", "closed",
		"has_orders", "forced_full", "forced_short_room", "forced_short_settled", "forced_none_room", "forced_none_settled", "auction_start_ms",
		"auction_forced", "auction_limit_bps", "in_auction", "auction_begun", "ended_covered", "ended_sold", "ended_over", "below", "age_ms", "seized")
	excuse("the difference of the key epochs, which are bound", "accounts", "rekeyed", "old key_epoch")
	excuse(counted, "accounts", "used", "has_positions", "forced", "rule_a")
	excuse(compared, "accounts", "new cash", "old min_nonce", "new min_nonce", "new action_nonce", "acting", "steps", "fraction_bps")
	excuse(counted, "queue", "used", "is_deposit", "is_key", "is_withdrawal", "is_close")
	excuse(compared, "withdrawals", "used", "amount")
	excuse(compared, "transfers", "used", "amount")
	excuse(counted, "takeovers", "used", "bid", "fund")
	excuse(compared, "deleverages", "mark", "band", "price")
}
