"""Results on disk: written whole, found again by what made them."""
