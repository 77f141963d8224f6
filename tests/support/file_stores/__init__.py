"""File stores of each kind, as the conformance suite meets them."""
