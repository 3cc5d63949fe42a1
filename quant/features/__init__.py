"""Features of a panel of bars, and the proof that none of them looks ahead."""
