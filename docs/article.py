r"""The article as HTML, by pandoc: what pandoc does not know of the sources is put into its words first.

Values, tables and captions come from `paper/generated`, as in the PDF.
"""

import re
import shutil
import subprocess
from pathlib import Path

VALUE = re.compile(r"\\setval\{([^}]*)\}\{(.*)\}$", re.MULTILINE)
COMMAND = re.compile(r"\\(cmd|prove)\{([^}]*)\}")
FIGURE = re.compile(r"\\resultfigure\{([^}]*)\}\{([^}]*)\}")
VERDICTS = {
    "supported": "supported",
    "reversed": "reversed",
    "noeffect": "no effect",
    "inconclusive": "inconclusive",
    "nottestable": "not testable",
}
KEPT = ("E", "Cov", "Bin", "Aplus", "Aminus", "artanh")
"""Macros of mathematics, which pandoc expands."""


def page(paper: Path) -> str:
    """The article as one HTML document with MathML; without pandoc, a page that says how to get it."""
    template = Path(__file__).with_name("article.template")
    if not shutil.which("pandoc"):
        told = "<p>This site was built without pandoc. <code>apt-get install pandoc</code>, and build it again.</p>"
        text = template.read_text(encoding="utf-8").replace("$title$", "The article").replace("$body$", told)
        return re.sub(r"\$.*?\$", "", text)
    command = ["pandoc", "-f", "latex", "-t", "html5", "--mathml", "--citeproc", "--number-sections", "--standalone"]
    command += ["--bibliography", str(paper / "references.bib"), "--toc", "--toc-depth=2", "--template", str(template)]
    return subprocess.run(command, input=plain(paper), capture_output=True, text=True, check=True).stdout


def plain(paper: Path) -> str:
    """One LaTeX document that uses no macro of the article's own but those of mathematics.

    Args:
        paper: the folder of `main.tex`.
    """
    main = (paper / "main.tex").read_text(encoding="utf-8")
    head, body = main.split(r"\begin{document}")
    values = dict(VALUE.findall((paper / "generated" / "values.tex").read_text(encoding="utf-8")))
    body = re.sub(r"\\input\{([^}]*)\}", lambda m: (paper / f"{m[1]}.tex").read_text(encoding="utf-8"), body)
    body = re.sub(r"\\gentable\{([^}]*)\}", lambda m: (paper / "generated" / f"{m[1]}.tex").read_text("utf-8"), body)
    body = tables(body)
    body = FIGURE.sub(figure, body).replace(r"\paragraph{", r"\paragraph*{")
    body = re.sub(r"\\val\{([^}]*)\}", lambda m: values[m[1]], body)
    body = COMMAND.sub(lambda m: typewriter(f"[{'symtheory prove ' * (m[1] == 'prove')}{m[2]}]"), body)
    body = re.sub(r"\\[Bb]ig[lr]?(?![A-Za-z])", "", body)  # sizes of brackets, which MathML chooses itself
    for macro, word in VERDICTS.items():
        body = re.sub(rf"\\{macro}(\{{\}})?(?![A-Za-z])", word, body)
    kept = [line for line in head.splitlines() if re.match(rf"\\newcommand\{{\\({'|'.join(KEPT)})\}}", line)]
    theorems = [line for line in head.splitlines() if line.startswith(("\\newtheorem", "\\title"))]
    return "\n".join([r"\documentclass{article}", *kept, *theorems, r"\begin{document}", body])


def figure(found: re.Match) -> str:
    r"""A `\resultfigure` as a figure of plain LaTeX."""
    name, title = found.groups()
    return (
        rf"\begin{{figure}}\includegraphics{{figures/{name}.png}}"
        rf"\caption{{{title} \val{{caption.{name}}} \cmd{{\val{{command.{name}}}}}}}\label{{fig:{name}}}\end{{figure}}"
    )


def tables(text: str) -> str:
    """Tables with columns that pandoc knows."""
    return re.sub(r"(?<=[{}lrc])[Lp]\{[\d.]+(?:cm|\\linewidth)\}", "l", text).replace(
        r"\renewcommand{\arraystretch}{1.4}", ""
    )


def typewriter(text: str) -> str:
    r"""Text as \texttt, its special characters escaped."""
    return r"\texttt{" + re.sub(r"([_&%#$])", r"\\\1", text).replace("--", "-{}-") + "}"
