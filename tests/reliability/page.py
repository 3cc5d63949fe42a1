"""The page: a table of all goals, then each with its figures.

Belongs here: the page's words. Does not belong here: finding anything out. Nothing on it depends on
the day or the machine, so the same sources make the same page.
"""

from collections.abc import Mapping, Sequence

from tests.reliability.goal import Form, Found
from tests.reliability.proofs import ELSEWHERE, PROOFS, Proof, hash_of

Figure = str | int | float


def page(found: Mapping[int, Found], form: Form) -> str:
    """Markdown for whatever has been found out; what is missing is said."""
    lines = ["# Reliability report", "", *_head(form), "", *_summary(found), ""]
    for goal in sorted(found):
        lines += _section(found[goal])
    lines += ["## What this page does not cover", ""]
    lines += [f"- Goal {goal}: {what}." for goal, what in ELSEWHERE.items()]
    return "\n".join(lines) + "\n"


def _head(form: Form) -> list[str]:
    every = [name for proof in PROOFS for name in proof.sources]
    every += [f"tests/reliability/{proof.module}.py" for proof in PROOFS]
    return [
        f"Made by `{command(form)}`; all sources together: `{hash_of(every)}`.",
        "How it is run, and what the words mean, is in [Reliability](reliability.md).",
        "" if form is Form.LONG else "\n**This is the short form**, which only shows the way.",
    ]


def command(form: Form) -> str:
    """What makes this page again."""
    words = "make reliability" if form is Form.LONG else "python -m tests.reliability --form short"
    return words if form is Form.LONG else f"{words} --report docs/reliability-report.md"


def _summary(found: Mapping[int, Found]) -> list[str]:
    rows = ["| goal | claim | reached | holds |", "|---|---|---|---|"]
    for proof in PROOFS:
        if proof.goal in found:
            one = found[proof.goal]
            link = f"[{proof.goal}. {one.title}](#{_anchor(one)})"
            rows.append(
                f"| {link} | {_sentence(one.claim)} | {_reached(one, proof)} | {_verdict(one)} |"
            )
        else:
            rows.append(f"| {proof.goal}. `{proof.module}` | not run | | |")
    return rows


def _reached(one: Found, proof: Proof) -> str:
    """The figures that matter most, in a few words."""
    told = ((name, total(one, name)) for name in proof.shows)
    return "; ".join(f"{name} {_words(value)}" for name, value in told)


def total(one: Found, name: str) -> int:
    """A figure, or the sum of those of all venues."""
    found = [
        value for told, value in one.figures.items() if told == name or told.endswith(f": {name}")
    ]
    if not found:
        raise KeyError(f"goal {one.goal} has no figure {name!r}")
    return sum(int(value) for value in found)


def _section(one: Found) -> list[str]:
    lines = [
        f"## {one.goal}. {one.title}",
        "",
        _sentence(one.claim),
        "",
        "| figure | value |",
        "|---|---|",
    ]
    lines += [f"| {name} | {_words(value)} |" for name, value in one.figures.items()]
    lines += ["", *(f"- {note}" for note in one.notes)]
    return [*lines, ""] if one.notes else lines


def _sentence(claim: str) -> str:
    return f"{claim[0].upper()}{claim[1:].rstrip('.')}."


def _verdict(one: Found) -> str:
    return "yes" if one.holds else "**no**"


def _words(value: Figure) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else value


def _anchor(one: Found) -> str:
    kept = "".join(c for c in one.title.lower() if c.isalnum() or c in " -_")
    return f"{one.goal}-{kept}".replace(" ", "-")


def failures(found: Sequence[Found]) -> list[str]:
    """What does not hold, in words."""
    return [f"goal {one.goal} does not hold: {one.claim}" for one in found if not one.holds]
