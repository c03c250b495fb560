r"""Plain text of the ledger and of captions as LaTeX: numbers with signs, names of Greek letters, roots, code."""

import re
from collections.abc import Sequence

from symtheory.claims.report import escape

_GREEK = "alpha|beta|gamma|eta|omega|pi|rho|sigma|lambda"
_MATHS = re.compile(
    rf"""(?P<code>`[^`]+`)
    |\*\*(?P<bold>[^*]+)\*\*|\*(?P<italic>[^*\s][^*\n]*)\*
    |\b(?P<sum>sum(?:_[a-z])?)(?=\s(?:\||\(|[A-Z]\b|[A-Za-z][_^]|(?:{_GREEK})(?:_|\b)))
    |(?P<root>\bsqrt\()
    |\bsqrt\ (?P<short>\w)\b
    |(?P<sub>\b(?:{_GREEK}|DDAS|[A-Za-z]{{1,2}})'?_(?:\([^)]*\)|[A-Za-z0-9]+))
    |(?P<greek>\b(?:{_GREEK})\b)
    |\b(?P<sign>[AmL][+-])(?=[\s,;:.)^]|$)
    |(?P<power>\^(?:\([^)]*\)|[A-Za-z0-9]+))
    |(?P<size>\|A\|)
    |(?P<relation><=|>=|->|\+-)""",
    re.VERBOSE,
)
_RELATION = {"<=": r"$\le$", ">=": r"$\ge$", "->": r"$\to$", "+-": r"$\pm$"}


def prose(text: str) -> str:
    r"""Plain text or Markdown with simple maths in it, as LaTeX.

    >>> prose("sum |A| = 2 G sqrt(p (1 - p)) for K_1 <= 3, `grpo`")
    '$\\sum$ $|A|$ = 2 G $\\sqrt{p (1 - p)}$ for $K_{1}$ $\\le$ 3, \\texttt{grpo}'
    """
    out, place = [], 0
    while match := _MATHS.search(text, place):
        out.append(escape(text[place : match.start()]))
        place = match.end()
        if match["root"]:
            place = _closing(text, place)
            out.append(rf"$\sqrt{{{_maths(text[match.end() : place - 1])}}}$")
        else:
            out.append(_token(match))
    return "".join([*out, escape(text[place:])])


def _token(match: re.Match) -> str:
    kind = match.lastgroup or ""
    text = match[kind]
    match kind:
        case "code":
            return rf"\texttt{{{escape(text[1:-1])}}}"
        case "bold" | "italic":
            return rf"\emph{{{prose(text)}}}"
        case "relation":
            return _RELATION[text]
        case "sign":
            return f"${text[0]}^{{{text[1]}}}$"
        case "power":
            return f"$^{{{text[1:].strip('()')}}}$"
        case "short":
            return rf"$\sqrt{{{text}}}$"
        case "sum":
            return f"$\\{_maths(text)}$"
    return f"${_maths(text)}$"


def _maths(text: str) -> str:
    """Names and subscripts of plain text, inside math mode."""
    text = re.sub(r"\bsqrt (\w)\b", r"\\sqrt{\1}", text)
    text = re.sub(r"\bsum ", r"\\sum ", text)
    text = re.sub(r"_\(([^)]*)\)", r"_{\1}", text)
    text = re.sub(r"_([A-Za-z0-9])(?![A-Za-z0-9])", r"_{\1}", text)
    text = re.sub(r"_([A-Za-z0-9]{2,})", r"_{\\text{\1}}", text)
    text = text.replace("DDAS", r"\text{DDAS}")
    return re.sub(rf"(?<![A-Za-z\\])(?:{_GREEK})(?![A-Za-z])", lambda m: "\\" + m[0], text)


def _closing(text: str, start: int) -> int:
    """Place after the bracket that closes the one just before `start`."""
    depth = 1
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    return len(text)


def signed(x: float, digits: int = 4) -> str:
    """A number with its sign, in math mode.

    >>> signed(-0.00351), signed(0.0)
    ('$-0.0035$', '$0$')
    """
    return f"${x:+.{digits}f}$" if x else "$0$"


def number(x: float, digits: int = 2) -> str:
    """A number in math mode.

    >>> number(5.474), number(0.0, 3)
    ('$5.47$', '$0$')
    """
    return f"${x:.{digits}f}$" if abs(x) >= 0.5 * 10**-digits else "$0$"


def exact(text: str) -> str:
    """An exact number or tuple of a counterexample, in math mode.

    >>> exact("(-1/21*sqrt(3), 5/7)"), exact("2*sqrt(2) + sqrt(7)")
    ('$(-\\\\tfrac{1}{21}\\\\sqrt{3}, \\\\tfrac{5}{7})$', '$2\\\\sqrt{2} + \\\\sqrt{7}$')
    """
    text = re.sub(r"(\d+)/(\d+)", r"\\tfrac{\1}{\2}", text)
    return "$" + re.sub(r"sqrt\((\d+)\)", r"\\sqrt{\1}", text).replace("*", "") + "$"


def tabular(columns: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A booktabs table; the cells must be LaTeX already."""
    head, *body = [" & ".join(line) + r" \\" for line in (header, *rows)]
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}"])


def longtable(columns: str, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str) -> str:
    """A booktabs table that may run over pages; the cells and the caption must be LaTeX already."""
    head, *body = [" & ".join(line) + r" \\" for line in (header, *rows)]
    lines = [rf"\begin{{longtable}}{{{columns}}}", rf"\caption{{{caption}}}\label{{{label}}}\\", r"\toprule", head]
    lines += [r"\midrule", r"\endfirsthead", r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"]
    return "\n".join([*lines, *body, r"\end{longtable}"])
