r"""Formulas of statements: plain mathematics as text, read as a syntax tree that numbers or polynomials can walk.

A formula names the estimators that it is about: `grpo: sum |A| = 2 G sqrt(p (1 - p))`, with free parameters in
brackets, `grpo[ddof, eps]: sum A = 0` or `passk[k:2]: ...`, or in front of a quantity,
`flip(hard_focused.A+) = -easy_focused.A-`.

    K, F, G          correct and wrong rollouts of a mixed group, and both together;  p = K/G
    A+, A-           advantage of each correct and of each wrong rollout
    sum A, sum |A|, sum A^2     over the group
    w, N             batch mean reward omega, and rollouts in the batch
    flip(x)          x for the rewards 1 - r: K and F change places, and w becomes 1 - w
    shift(x)         x in the group with one correct rollout less and one wrong one more
"""

import ast
import functools
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_WORDS = (
    (r"sum \|A\|", "L1"),
    (r"sum A\^2", "L2"),
    (r"sum A\b", "C"),
    (r"\|A\+\|", "abs(Aplus)"),
    (r"\|A-\|", "abs(Aminus)"),
    (r"A\+", "Aplus"),
    (r"A-", "Aminus"),
    (r"\^", "**"),
)
FUNCTIONS = ("sqrt", "exp", "min", "max", "abs", "flip", "shift")
QUANTITIES = ("Aplus", "Aminus", "C", "L1", "L2")
_TOKEN = re.compile(r"\s*(\d+|[A-Za-z_][A-Za-z_0-9]*(?:\[[^\]]*\])?|\*\*|[-+*/().,])")
_RELATION = re.compile(r"(!=|>=|<=|=|>|<)")


@dataclass(frozen=True)
class Formula:
    """left REL right, about mixed groups with at least `least` = (K, F) rollouts of each kind."""

    text: str
    """As it stands in the statement."""
    estimator: str
    """Default estimator, such as `grpo[ddof, eps]`; empty where quantities name theirs."""
    left: str
    relation: str
    right: str
    least: tuple[int, int] = (1, 1)


def in_statement(statement: str) -> list[Formula]:
    """All formulas of a statement: what it says between backticks with a relation in it.

    >>> [f.relation for f in in_statement("Always `grpo: A+ >= 0 >= A-`.")]
    ['>=', '>=']
    """
    return [f for text in re.findall(r"`([^`]*)`", statement) if _RELATION.search(text) for f in formulas(text)]


def formulas(text: str) -> list[Formula]:
    """The formulas of one text; a chain a >= b >= c gives two.

    >>> formulas("grpo: sum A = 0 for K >= 2, F >= 2")[0].least
    (2, 2)
    """
    body, _, condition = text.partition(" for ")
    header = re.match(r"\s*([a-z_0-9]+(?:\[[^\]]*\])?)\s*:(?!\d)", body)
    estimator, body = (header[1], body[header.end() :]) if header else ("", body)
    least = {"K": 1, "F": 1}
    for name, value in re.findall(r"\b([KF]) >= (\d+)", condition):
        least[name] = int(value)
    parts = [part.strip() for part in _RELATION.split(body)]
    if len(parts) < 3:
        raise ValueError(f"no relation in the formula {text!r}")
    estimator = estimator.replace(" ", "")
    return [
        Formula(text, estimator, python(parts[i]), parts[i + 1], python(parts[i + 2]), (least["K"], least["F"]))
        for i in range(0, len(parts) - 2, 2)
    ]


def python(text: str) -> str:
    """Plain mathematics as a Python expression: products are written out.

    >>> python("2 G sqrt(p (1 - p))")
    '2*G*sqrt(p*(1-p))'
    """
    for pattern, word in _WORDS:
        text = re.sub(pattern, word, text)
    tokens, place = [], 0
    text = text.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if not match:
            raise ValueError(f"cannot read {text[place:]!r} in the formula {text!r}")
        token, place = match[1], match.end()
        before = tokens[-1] if tokens else ""
        ends = before == ")" or before[-1:].isalnum() or before[-1:] in ("_", "]")
        begins = token == "(" or token[0].isalnum()
        if ends and begins and before not in FUNCTIONS:
            tokens.append("*")
        tokens.append(token)
    return "".join(tokens)


@functools.cache
def tree(text: str) -> ast.expr:
    """Syntax tree of a Python expression."""
    return ast.parse(text, mode="eval").body


@functools.cache
def estimators_in(formula: Formula) -> list[str]:
    """Estimators that a formula is about, with their parameters as text."""
    nodes = [n for side in (formula.left, formula.right) for n in ast.walk(tree(side))]
    named = {ast.unparse(n.value).replace(" ", "") for n in nodes if isinstance(n, ast.Attribute)}
    own = {formula.estimator.replace(" ", "")} if formula.estimator else set()
    return sorted(named | own)


def name_and_parameters(spec: str) -> tuple[str, dict[str, Any]]:
    """`grpo[ddof, eps:1/10]` as a name and parameters; a parameter without a value stands for itself.

    >>> name_and_parameters("grpo[ddof, eps:1/10]")
    ('grpo', {'ddof': 'ddof', 'eps': Fraction(1, 10)})
    """
    name, _, inside = spec.partition("[")
    parameters: dict[str, Any] = {}
    for part in filter(None, (x.strip() for x in inside.rstrip("]").split(","))):
        key, colon, value = part.partition(":")
        number = Fraction(value.strip()) if colon else None
        if number is None:
            parameters[key] = key
        else:
            parameters[key] = int(number) if number.denominator == 1 else number
    return name.strip(), parameters


def walk(node: ast.expr, arithmetic: Any) -> Any:
    """Value of a tree in an `arithmetic`: an object with number, name, quantity, call and the five operations."""
    match node:
        case ast.Constant(value=int() as value):
            return arithmetic.number(Fraction(value))
        case ast.Name(id=name) if name in QUANTITIES:
            return arithmetic.quantity("", name)
        case ast.Name(id=name):
            return arithmetic.name(name)
        case ast.Attribute(value=spec, attr=quantity):
            return arithmetic.quantity(ast.unparse(spec).replace(" ", ""), quantity)
        case ast.UnaryOp(op=ast.USub(), operand=x):
            return arithmetic.multiply(arithmetic.number(Fraction(-1)), walk(x, arithmetic))
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            return arithmetic.power(walk(base, arithmetic), constant(exponent))
        case ast.BinOp(left=left, op=op, right=right):
            a, b = walk(left, arithmetic), walk(right, arithmetic)
            match op:
                case ast.Add():
                    return arithmetic.add(a, b)
                case ast.Sub():
                    return arithmetic.add(a, arithmetic.multiply(arithmetic.number(Fraction(-1)), b))
                case ast.Mult():
                    return arithmetic.multiply(a, b)
                case ast.Div():
                    return arithmetic.divide(a, b)
        case ast.Call(func=ast.Name(id="flip"), args=[x]):
            return walk(x, arithmetic.flipped())
        case ast.Call(func=ast.Name(id="shift"), args=[x]):
            return walk(x, arithmetic.shifted())
        case ast.Call(func=ast.Name(id=name), args=args):
            return arithmetic.call(name.lower(), [walk(x, arithmetic) for x in args])
    raise ValueError(f"not a formula: {ast.unparse(node)}")


def constant(node: ast.expr) -> Fraction:
    """A rational number written out, as an exponent is."""
    match node:
        case ast.Constant(value=int() as value):
            return Fraction(value)
        case ast.UnaryOp(op=ast.USub(), operand=x):
            return -constant(x)
        case ast.BinOp(left=a, op=ast.Div(), right=b):
            return constant(a) / constant(b)
    raise ValueError(f"an exponent must be a number, got {ast.unparse(node)}")
