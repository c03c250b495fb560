"""The apps of `symtheory explore`: one module for each notebook, with what it computes and what it draws."""
