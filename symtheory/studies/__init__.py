"""Studies: a configuration in, a labelled result out. Nothing here draws.

`controlled` trains every method from one base population, on bandits or trees; `sweep` runs any grid; `phase_diagram`
covers the symmetry plane; `transformer` is the study of the real update.
"""
