"""Objectives differentiated by rule, and compared with a slope as polynomials in sqrt P and sqrt(1 - P)."""

import ast
import itertools
from collections.abc import Mapping
from fractions import Fraction

from ..certificates import parse
from .formulas import python, tree
from .ratios import Ratio, Symbols, Table, reduce

# x = sqrt P and y = sqrt(1 - P) = t u with t^2 = 1 - x, u^2 = 1 + x; anything else in a slope is a free variable
_TABLE = Table(squares={"t": "1 - x", "u": "1 + x"})
_ARITHMETIC = Symbols(
    _TABLE,
    names={
        "K": Ratio(parse("x**2")),
        "F": Ratio(parse("1 - x**2")),
        "w": Ratio(parse("w")),
        "v": Ratio(parse("1 - w")),
    },
)
_X, _Y, _T, _U = (Ratio(parse(text)) for text in ("x", "t*u", "t", "u"))
_ONE = Ratio(parse("1"))


def derivative_is(objective: str, slope: str) -> bool:
    """Whether d/dP of an objective is the slope; both in P, Q = 1 - P and functions of their square roots.

    >>> derivative_is("2 asin(sqrt(P))", "1/(sqrt(P) sqrt(1 - P))"), derivative_is("P", "2")
    (True, False)
    """
    a, b = derivative(tree(_text(objective))), value(tree(_text(slope)))
    gap = _ARITHMETIC.difference(a, b)
    return not reduce(gap, _TABLE.rules)


def _text(text: str) -> str:
    for name in ("asin", "atanh", "log", "sqrt"):
        text = text.replace(f"{name} (", f"{name}(")
    return python(text).replace("asin*(", "asin(").replace("atanh*(", "atanh(").replace("log*(", "log(")


def value(node: ast.expr) -> Ratio:
    """An expression without asin, atanh and log as a rational function of x and y."""
    t = _ARITHMETIC
    match node:
        case ast.Constant(value=int() as n):
            return t.number(Fraction(n))
        case ast.Name(id="P"):
            return t.multiply(_X, _X)
        case ast.Name(id="Q"):
            return t.multiply(_Y, _Y)
        case ast.Name(id=name):
            return t.name(name)
        case ast.UnaryOp(op=ast.USub(), operand=a):
            return t.multiply(t.number(Fraction(-1)), value(a))
        case ast.BinOp(left=a, op=ast.Pow(), right=n):
            from .formulas import constant

            power = constant(n)
            return (
                t.power(value(a), power)
                if power.denominator == 1
                else t.power(_root(value(a)), Fraction(power.numerator))
            )
        case ast.BinOp(left=a, op=op, right=b):
            return _combined(op, value(a), value(b))
        case ast.Call(func=ast.Name(id="sqrt"), args=[a]) if _plain(a):
            return _ARITHMETIC.name("root_of_" + "".join(c if c.isalnum() else "_" for c in ast.unparse(a)))
        case ast.Call(func=ast.Name(id="sqrt"), args=[a]):
            return _root(value(a))
    raise ValueError(f"no value of {ast.unparse(node)}")


def _combined(op: ast.operator, a: Ratio, b: Ratio) -> Ratio:
    t = _ARITHMETIC
    match op:
        case ast.Add():
            return t.add(a, b)
        case ast.Sub():
            return t.add(a, t.multiply(t.number(Fraction(-1)), b))
        case ast.Mult():
            return t.multiply(a, b)
        case ast.Div():
            return t.divide(a, b)
    raise ValueError(f"no operation {op}")


def _root(a: Ratio) -> Ratio:
    """sqrt of P, 1 - P, a square of a number, or of a product or quotient of these."""
    t = _ARITHMETIC
    plain = (_ONE, _X, _Y, t.multiply(_X, _Y), _T, _U, t.multiply(_X, _T), t.multiply(_X, _U))
    for above, below in itertools.product(plain, plain):
        root = t.divide(above, below)
        if t.same(t.multiply(root, root), a):
            return root
    raise ValueError("a square root that is not one of sqrt P, sqrt(1 - P) and sqrt(1 +- sqrt P)")


def derivative(node: ast.expr) -> Ratio:
    """d/dP by the rules of sum, product, quotient and chain."""
    t = _ARITHMETIC
    half = t.number(Fraction(1, 2))
    match node:
        case ast.Constant():
            return t.number(Fraction(0))
        case ast.Name(id=name):
            return {"P": t.number(Fraction(1)), "Q": t.number(Fraction(-1))}.get(name, t.number(Fraction(0)))
        case ast.UnaryOp(op=ast.USub(), operand=a):
            return t.multiply(t.number(Fraction(-1)), derivative(a))
        case ast.BinOp(left=a, op=ast.Mult(), right=b) if _plain(a):
            return t.multiply(value(a), derivative(b))
        case ast.BinOp(left=a, op=ast.Mult(), right=b) if _plain(b):
            return t.multiply(value(b), derivative(a))
        case ast.BinOp(left=a, op=ast.Mult(), right=b):
            return t.add(t.multiply(derivative(a), value(b)), t.multiply(value(a), derivative(b)))
        case ast.BinOp(left=a, op=ast.Div(), right=b) if _plain(b):
            return t.divide(derivative(a), value(b))
        case ast.BinOp(left=a, op=ast.Div(), right=b):
            top = _combined(ast.Sub(), t.multiply(derivative(a), value(b)), t.multiply(value(a), derivative(b)))
            return t.divide(top, t.multiply(value(b), value(b)))
        case ast.BinOp(left=a, op=ast.Pow(), right=n):
            from .formulas import constant

            power = constant(n)
            below = value(ast.BinOp(a, ast.Pow(), _number(power - 1)))
            return t.multiply(t.multiply(t.number(power), below), derivative(a))
        case ast.BinOp(left=a, op=op, right=b):
            return _combined(op, derivative(a), derivative(b))
        case ast.Call(func=ast.Name(id="sqrt"), args=[a]):
            return t.divide(t.multiply(half, derivative(a)), _root(value(a)))
        case ast.Call(func=ast.Name(id="log"), args=[a]):
            return t.divide(derivative(a), value(a))
        case ast.Call(func=ast.Name(id="asin"), args=[a]):
            inside = value(a)
            return t.divide(derivative(a), _root(_combined(ast.Sub(), _ONE, t.multiply(inside, inside))))
        case ast.Call(func=ast.Name(id="atanh"), args=[a]):
            inside = value(a)
            return t.divide(derivative(a), _combined(ast.Sub(), _ONE, t.multiply(inside, inside)))
    raise ValueError(f"no derivative of {ast.unparse(node)}")


def _number(value: Fraction) -> ast.expr:
    return tree(f"{value.numerator}/{value.denominator}" if value.denominator > 1 else str(value.numerator))


def _plain(node: ast.expr) -> bool:
    """Whether an expression does not depend on P."""
    names: Mapping[str, int] = {n.id: 1 for n in ast.walk(node) if isinstance(n, ast.Name)}
    return not names.keys() & {"P", "Q"}
