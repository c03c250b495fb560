"""The test of the interference law, in the order in which it is made.

`law` computes the slopes at a base policy. `predictions` predicts held-out pass@k under each estimator at a given gain
of training pass@1; `runs` makes the runs; `judge` compares the two. `design` fixes the `cells`, and `files` writes
predictions and runs to disk. `angle` varies the angle that turns the sign, and `probes` measures how well exchange
rates can be estimated without exact gradients.
"""
