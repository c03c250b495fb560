"""Studies of the transformer: base models, training runs, single steps, and their twins in the simulators."""
