"""Keeps what was found out, so that a second start goes on where the first one ended.

Belongs here: one JSON file a finding, named by goal, form and the hash of its sources. A finding of
other sources is never read again.
"""

import dataclasses
import json
from pathlib import Path

from tests.reliability.goal import Form, Found
from tests.reliability.proofs import Proof


def place_of(folder: Path, proof: Proof, form: Form) -> Path:
    """Where a finding of the present sources lies."""
    return folder / f"{form}-{proof.goal:02}-{proof.sources_hash()}.json"


def kept(folder: Path, proof: Proof, form: Form) -> Found | None:
    """What an earlier run found out of the same sources."""
    path = place_of(folder, proof, form)
    if not path.exists():
        return None
    row = json.loads(path.read_text(encoding="utf-8"))
    return Found(**row | {"form": Form(row["form"]), "notes": tuple(row["notes"])})


def keep(folder: Path, proof: Proof, found: Found) -> None:
    """Written beside and renamed: a run that is stopped leaves no half finding."""
    path = place_of(folder, proof, found.form)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(dataclasses.asdict(found), indent=2), encoding="utf-8")
    beside.replace(path)
