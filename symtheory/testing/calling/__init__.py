"""How to call a function that somebody else wrote: load it, read its signature, try what it may mean, and decide.

`isolate` finds the function, `signature` reads it, `fill` makes its arguments and `answers` reads what it returns,
`adapter` is one way of calling it, and `decide` chooses among them by what they answer.
"""
