"""Results on disk: written atomically, addressed by what made them."""
