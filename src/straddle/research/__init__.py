"""What each architecture costs: measured comparisons, their prices, and what they mean for a trader's capital, margin and hedges."""
