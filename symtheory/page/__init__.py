"""The explorable page: one HTML file with the symmetry plane, which needs neither an installation nor a network."""
