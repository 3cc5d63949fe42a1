"""Runs the proofs and writes the page.

    python -m tests.reliability [--form short|long] [--goal N]... [--report FILE] [--keep FOLDER]

What was found out of the same sources is not found out again. Exit code 1 when anything does not
hold, a proof that broke included.
"""

import argparse
import sys
import time
import traceback
from pathlib import Path

from tests.reliability.goal import Form, Found
from tests.reliability.keeping import keep, kept
from tests.reliability.page import failures, page
from tests.reliability.progress import say
from tests.reliability.proofs import PROOFS, ROOT, Proof


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for, and write the page of everything that is known."""
    options = _options(arguments)
    form = Form(options.form)
    wanted = [one for one in PROOFS if not options.goal or one.goal in options.goal]
    found = {one.goal: _find_out(one, form, options.keep) for one in wanted}
    if options.report:
        others = {one.goal: kept(options.keep, one, form) for one in PROOFS}
        known = {goal: one for goal, one in others.items() if one is not None} | found
        options.report.write_text(page(known, form), encoding="utf-8")
    for line in failures(list(found.values())):
        say(line)
    return 1 if failures(list(found.values())) else 0


def _find_out(proof: Proof, form: Form, folder: Path) -> Found:
    known = kept(folder, proof, form)
    if known is not None:
        say(f"goal {proof.goal:>2} {proof.module}: known ({_word(known)})")
        return known
    say(f"goal {proof.goal:>2} {proof.module}: {form} form begins")
    start = time.monotonic()
    try:
        found = proof.run(form)
    except Exception as error:
        # The other proofs are worth having all the same; this one is not kept.
        traceback.print_exc()
        found = _broken(proof, form, error)
    else:
        keep(folder, proof, found)
    say(f"goal {proof.goal:>2} {proof.module}: {_word(found)}, {time.monotonic() - start:.0f} s")
    return found


def _broken(proof: Proof, form: Form, error: Exception) -> Found:
    return Found(
        goal=proof.goal,
        title=proof.module.replace("_", " ").capitalize(),
        claim="The proof itself broke.",
        form=form,
        holds=False,
        figures={"error": type(error).__name__},
    )


def _word(found: Found) -> str:
    return "holds" if found.holds else "DOES NOT HOLD"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--form", choices=list(Form), default=Form.LONG)
    parser.add_argument("--goal", type=int, action="append", help="only this one; repeat for more")
    parser.add_argument("--report", type=Path, help="the page to write")
    parser.add_argument("--keep", type=Path, default=ROOT / "var" / "reliability")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
