"""The test of the interference law, in the order in which it is made.

`law` reads a base policy; `predictions` says what each estimator will have done to held-out pass@k by the time training
pass@1 has gained so much; `runs` makes the runs; `judge` holds one against the other. `design` fixes the `cells` and
`files` keeps what was predicted before what was measured. `angle` turns the sign by a knob, `probes` asks what can be
had without exact gradients.
"""
