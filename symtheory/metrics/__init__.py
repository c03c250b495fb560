"""What is measured on policies and runs: arrays in, arrays out."""
