"""Registered estimators inside the trainers: `trl.with_estimator`, and names in the registries of verl and Tunix.

Each module imports its trainer, so that nothing is imported until it is asked for:

    from symtheory.trainers.trl import with_estimator   # extra trl
    import symtheory.trainers.verl                      # extra verl: algorithm.adv_estimator=symtheory/agrae
    import symtheory.trainers.tunix                     # extra tunix: advantage_estimator="symtheory/agrae"
"""
