r"""The article's LaTeX sources as text: what they ask for, and what they may not say.

`\val{key}` asks for a value, `\gentable{name}` for a table, `\resultfigure{name}` for a figure with its saved caption,
`\prove{id}` names a theorem or claim of the ledger, and `\cmd{...}` the command behind a sentence. Numbers of results
are never typed: `typed_numbers` finds those that are.
"""

import re
from collections.abc import Iterator
from pathlib import Path

ALLOWED = re.compile(
    r"""arXiv:\d{4}\.\d{5}(?:v\d)?
    |(?:Tables?|Figs?\.|Figures?|Eqs?\.|Theorems?|Sections?|Sec\.|Experiments?|App\.)[~ ]\(?\d+[a-d]?\)?
        (?:(?:--|,?~(?:and~|to~)?)\(?\d+[a-d]?\)?)*
    |pass@\d+|Qwen2\.5(?:-Math|-VL)?-\dB|DeepSeek-R1-7B|Llama-3\.2-3B|AIME[~ ]2025|AMC23|Geo3K|7B
    |\b[A-D]\.\d\b|\b20\d\d\b|\bk3\b|Apache-2\.0|\\texttt\{[0-9a-f]{7}\}|\b\d+(?:\.\d+)?(?:cm|em|pt)\b""",
    re.VERBOSE,
)
"""Numerals that are names, references or lengths, not results."""
STRUCTURAL = {256}
"""Numbers above 12 that a formula may hold: the paper's largest k."""
_SILENT = (
    r"\\(?:label|ref|eqref|autoref|pageref|val|cmd|input|gentable|resultfigure|prove|url|bibliography|bibliographystyle"
    r"|vspace|hspace|cite[a-z]*|includegraphics|renewcommand|multicolumn|setcounter)\*?(?:\[[^\]]*\])*\{[^{}]*\}(?:\{[^{}]*\})?"
)
_ENVIRONMENT = r"\\(?:begin|end)\{[^{}]*\}(?:\[[^\]]*\])?"
_MATHS = re.compile(
    r"\\\[(.*?)\\\]|\\begin\{(?:align|equation|gather)\*?\}(.*?)\\end\{(?:align|equation|gather)\*?\}|\$([^$]+)\$",
    re.DOTALL,
)
_WORDS = re.compile(
    r"\b(?:six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    r"|hundreds?|thousands?|millions?|percent|per cent)\b",
    re.IGNORECASE,
)


def read(folder: Path) -> dict[str, str]:
    """The sources by name, `main.tex` and `sections/*.tex`, without comments."""
    paths = [folder / "main.tex", *sorted((folder / "sections").glob("*.tex"))]
    return {str(p.relative_to(folder)): _without_comments(p.read_text(encoding="utf-8")) for p in paths}


def _without_comments(text: str) -> str:
    return re.sub(r"(?<!\\)%.*", "", text)


def asked(sources: dict[str, str], command: str) -> list[str]:
    r"""Arguments of a command such as `val`, in order of first use.

    >>> asked({"a": r"\val{x.y} and \val{z}, \val{x.y}"}, "val")
    ['x.y', 'z']
    """
    found = (name for text in sources.values() for name in re.findall(rf"\\{command}\{{([^}}]+)\}}", _body(text)))
    return list(dict.fromkeys(found))


def _body(text: str) -> str:
    """The text after the preamble, which defines the commands instead of using them."""
    return text.partition(r"\begin{document}")[2] or text


def typed_numbers(text: str) -> Iterator[tuple[int, str]]:
    r"""(line, number) of numbers typed by hand, which should have been asked for.

    In prose every numeral counts that is not a name or a reference (Table 3, pass@256, arXiv numbers), and number
    words from six on; in maths decimals, whole numbers above 12, and formulas that are nothing but a number.

    >>> list(typed_numbers(r"In Table~3, 43 of $87$ rows are $0.92$ off; $p = 1/2$ and ten more."))
    [(1, '43'), (1, '87'), (1, '0.92'), (1, 'ten')]
    """
    preamble, begin, body = text.partition(r"\begin{document}")
    offset = preamble.count("\n") if begin else 0
    body = _blank(rf"{_SILENT}|{_ENVIRONMENT}", body if begin else text)
    found = []
    for match in _MATHS.finditer(body):
        maths = next(filter(None, match.groups()), "")
        found += [(match.start(), n) for n in _results_in(maths)]
    words = _blank(ALLOWED.pattern, _MATHS.sub(_spaces, body), re.VERBOSE)
    found += [(m.start(), m[0]) for m in re.finditer(r"\d+(?:[.,]\d+)*(?:\s?\\%)?", words)]
    found += [(m.start(), m[0]) for m in _WORDS.finditer(words)]
    for place, number in sorted(found):
        yield offset + body.count("\n", 0, place) + 1, number


def _results_in(maths: str) -> list[str]:
    numbers = re.findall(r"\d+(?:\.\d+)?", maths)
    alone = re.fullmatch(r"\s*[+-]?\d+(?:\.\d+)?\s*(?:\\%)?\s*", maths)
    return [n for n in numbers if "." in n or (int(n) not in STRUCTURAL and (alone or int(n) > 12))]


def _blank(pattern: str, text: str, flags: int = 0) -> str:
    """`text` with matches turned into spaces, so that places stay."""
    return re.sub(pattern, _spaces, text, flags=flags)


def _spaces(match: re.Match) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def without_command(text: str) -> Iterator[tuple[int, str]]:
    r"""(line, first words) of paragraphs that show a value or a table but name no command.

    >>> list(without_command("Of all, \\val{a} hold.\n\nSo \\val{b} \\cmd{symtheory prove}."))
    [(1, 'Of all, \\val{a} hold.')]
    """
    preamble, begin, body = text.partition(r"\begin{document}")
    line = preamble.count("\n") + 1 if begin else 1
    for paragraph in re.split(r"(\n[ \t]*\n)", body if begin else text):
        if re.search(r"\\(?:val|gentable)\{", paragraph) and not re.search(r"\\(?:cmd|prove)\{", paragraph):
            yield line + len(paragraph) - len(paragraph.lstrip("\n")), paragraph.strip()[:60]
        line += paragraph.count("\n")
