"""The development in proofs/, checked by the kernel of Coq; lemmas from certificates are written just before.

`Groups.v` has the master theorem, its Bernstein form and entanglement at every G, `Symmetry.v` zero sum and sure
improvement. `certificates()` writes a third file: the polynomial identity of each formula about GRPO and its relatives,
as a lemma over the reals that `ring` and the certificate's own cofactors prove.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .. import paths
from ..errors import InputError

FILES = ("Groups", "Symmetry")
AXIOMS = (
    "ClassicalDedekindReals.sig_not_dec",
    "ClassicalDedekindReals.sig_forall_dec",
    "FunctionalExtensionality.functional_extensionality_dep",
    "Classical_Prop.classic",
)
"""What Coq's real numbers rest on."""
PACKAGE = "coq"
"""The Debian package that has coqc and its standard library."""
LEMMAS = (
    "update_magnitude",
    "update_magnitude_ddof",
    "square_sum_is_constant",
    "magnitude_bound",
    "table1_hard_focused",
    "table1_easy_focused",
    "table1_positive_dominant",
    "table1_negative_dominant",
    "ddas_magnitude",
    "ngrpo_imbalance",
    "flip_duality",
    "zero_sum:grpo",
    "zero_sum:rloo",
    "zero_sum:hard_focused",
)
"""Theorems whose certificates become lemmas."""


def check() -> Iterator[tuple[str, str]]:
    """Name of each file and what the kernel says against it, empty if it is checked.

    Raises `InputError` where Coq is not installed, or outside a checkout.
    """
    root = paths.checkout()
    if root is None:
        raise InputError("the kernel-checked proofs are in the repository's proofs/: run this in a clone of it")
    if not shutil.which("coqc"):
        raise InputError(f"coqc is not installed. On Debian: apt-get install --no-install-recommends {PACKAGE}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in FILES:
            shutil.copy(root / "proofs" / f"{name}.v", folder)
        (folder / "Certificates.v").write_text(certificates(LEMMAS), encoding="utf-8")
        for name in (*FILES, "Certificates"):
            complaint = _compiled(folder, name)[1]
            yield name, complaint or assumed(folder, name)


def _compiled(folder: Path, name: str) -> tuple[str, str]:
    """What coqc prints of a file, and its complaint."""
    command = ["coqc", "-q", "-Q", ".", "Symtheory", f"{name}.v"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout, " ".join((done.stdout + done.stderr).split())[:400] if done.returncode else ""


def assumed(folder: Path, name: str) -> str:
    """Complaint about what a compiled file's theorems rest on by the kernel, beyond the axioms of real numbers."""
    text = (folder / f"{name}.v").read_text(encoding="utf-8")
    proved = re.findall(r"^(?:Theorem|Lemma|Corollary)\s+(\w+)", text, re.MULTILINE)
    everything = ", ".join(f"@{name}.{theorem}" for theorem in proved)
    question = f"Require Import Symtheory.{name}.\nDefinition everything := ({everything}, tt).\n"
    (folder / f"Of{name}.v").write_text(question + "Print Assumptions everything.\n", encoding="utf-8")
    printed, complaint = _compiled(folder, f"Of{name}")
    found = re.findall(r"^(?!Axioms:|Closed under)(\S+)", printed, re.MULTILINE)
    foreign = [axiom for axiom in found if axiom not in AXIOMS]
    return complaint or (f"it assumes what it should prove: {', '.join(foreign)}" if foreign else "")


def certificates(ids: Sequence[str]) -> str:
    """A Coq file with one lemma for each polynomial claim of these theorems' certificates."""
    from .proofs import record
    from .theorems import find

    parts = [
        "(* Written from certificates by `symtheory prove --kernel`. *)",
        "Require Import Reals.",
        "Open Scope R_scope.",
        "",
    ]
    for id in ids:
        theorem = find(id)
        entry = record(theorem, theorem.derive())
        count = 0
        for formula in entry["formulas"]:
            for claims in formula["parts"]:
                if "cofactors" in claims:
                    count += 1
                    name = re.sub(r"\W", "_", f"{id}_{count}")
                    parts.append(lemma(name, formula["text"], claims, entry["table"].get("squares", {})))
    return "\n".join(parts)


def lemma(name: str, text: str, claims: dict, squares: dict) -> str:
    """left = right wherever each root's square is what it should be; the cofactors do the rest."""
    rules = {"g": "k**2 + f**2", **squares}
    used = {v: q for v, q in claims["cofactors"].items() if q != "0"}
    sides = _coq(claims["left"]), _coq(claims["right"])
    everything = " ".join([*sides, *used, *used.values(), *(rules[v] for v in used)])
    names = " ".join(sorted(set(re.findall(r"[A-Za-z_]\w*", everything)))) or "x"
    hypotheses = {v: f"{v} ^ 2 - ({_coq(rules[v])})" for v in used}
    given = "".join(f"{h} = 0 -> " for h in hypotheses.values())
    total = " + ".join(f"({_coq(used[v])}) * ({h})" for v, h in hypotheses.items()) or "0"
    rewriting = "".join(f"rewrite H_{v}; " for v in used)
    return (
        f"(* {text} *)\nLemma {name} : forall {names} : R,\n  {given}{sides[0]} = {sides[1]}.\nProof.\n"
        f"  intros {names} {' '.join(f'H_{v}' for v in used)}. apply Rminus_diag_uniq.\n"
        f"  replace (({sides[0]}) - ({sides[1]})) with ({total}) by ring.\n  {rewriting}ring.\nQed.\n"
    )


def _coq(text: str) -> str:
    """A polynomial's text in Coq's syntax."""
    return re.sub(r"\((-?\d+)/(\d+)\)", r"(\1 / \2)", text.replace("**", " ^ "))
