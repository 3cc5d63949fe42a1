"""The governance journal: trials, certificates, roles and changes of gates, one hash-chained file.

Belongs here: appending each record once, reading all, and the returns of trials beside them.
Does not belong here: what follows from the records (`quant.governance`).

It lies in `PMX_HOME/ledger/governance` and has the form of the ledger's own journal, so the same
verifier reads it. Returns are files named by their hash; one that was changed or lost counts as
missing, and a trial without returns counts as independent, so losing one never helps.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from quant.core.clock import Clock, SystemClock
from quant.core.errors import DataError, LedgerDamagedError
from quant.core.identity import content_hash
from quant.governance.records import (
    GovernanceRecord,
    TrialClosed,
    TrialOpened,
    from_payload,
    to_payload,
)
from resources.ledger.journal import JOURNAL_NAME, Journal, Record, WriterLock, read_head, scan

if TYPE_CHECKING:
    import pandas as pd

    from quant.governance.trials import FamilyStanding

FOLDER: Final = "governance"
# A command and a sensor may want to write in the same moment; neither holds the lock for long.
_LOCK_WAIT_SECONDS: Final = 20.0


class GovernanceJournal:
    """All records of one installation; every writing call takes the lock for itself."""

    def __init__(self, ledger_folder: Path, *, clock: Clock | None = None) -> None:
        self.folder = ledger_folder / FOLDER
        self._clock = clock or SystemClock()

    @property
    def exists(self) -> bool:
        """Whether anything was ever recorded."""
        return (self.folder / JOURNAL_NAME).exists()

    def records(self) -> list[GovernanceRecord]:
        """Everything, oldest first; a broken chain is an error and never a shorter list."""
        found: list[GovernanceRecord] = []
        if not self.exists:
            return found
        read = scan(
            self.folder / JOURNAL_NAME,
            lambda record: found.append(from_payload(record.payload)),
            known=read_head(self.folder),
        )
        if read.damage:
            raise LedgerDamagedError(
                f"the governance journal in {self.folder} is damaged: {read.damage}",
                remedy="restore it from a copy; nothing is certified or promoted until then",
            )
        return found

    def append(self, records: Iterable[GovernanceRecord]) -> list[GovernanceRecord]:
        """Record what is new, as one commit; what is known already is left out of the answer."""
        wanted = list(records)
        known: set[str] = set()

        def visit(record: Record) -> None:
            known.add(str(record.payload["key"]))

        lock = WriterLock.take(self.folder, wait_seconds=_LOCK_WAIT_SECONDS)
        journal = Journal.open(
            self.folder, clock=self._clock, lock=lock, visit=visit, known=read_head(self.folder)
        )
        try:
            fresh = list({one.key: one for one in wanted if one.key not in known}.values())
            journal.append_all([to_payload(one) for one in fresh])
        finally:
            journal.close()
        return fresh

    # Trials

    @contextmanager
    def trial(
        self,
        *,
        family: str,
        purpose: str,
        description: str,
        parameters: object,
        inputs_hash: str,
        run_id: str = "",
        code_version: str = "",
    ) -> Iterator["OpenTrial"]:
        """Count a trial, then let the caller compute; leaving without a result abandons it."""
        opened = trial_record(
            family=family,
            purpose=purpose,
            description=description,
            parameters=parameters,
            inputs_hash=inputs_hash,
            run_id=run_id,
            code_version=code_version,
        )
        self.append([opened])
        one = OpenTrial(record=opened)
        yield one
        if one.returns is not None:
            self.close_trials({opened.trial_id: one.returns})

    def close_trials(self, returns: Mapping[str, "pd.Series"]) -> None:
        """Record results of trials that were counted before; returns are indexed by session."""
        from quant.governance.overfitting import moments

        known = {one.trial_id for one in self.records() if isinstance(one, TrialOpened)}
        strange = sorted(set(returns) - known)
        if strange:
            raise DataError(
                f"{len(strange)} results belong to no counted trial, such as {strange[0]}",
                remedy="open a trial before computing it",
            )
        records = []
        for name, series in returns.items():
            found = moments(series)
            records.append(
                TrialClosed(
                    trial_id=name,
                    observations=found.observations,
                    sharpe=found.sharpe,
                    returns_hash=self._keep(series),
                )
            )
        self.append(records)

    def trial_returns(
        self, family: str, *, records: Sequence[GovernanceRecord] | None = None
    ) -> dict[str, "pd.Series"]:
        """Returns of the family's finished trials, those that are still what was recorded."""
        known = self.records() if records is None else records
        own = {
            one.trial_id for one in known if isinstance(one, TrialOpened) and one.family == family
        }
        hashes = {
            one.trial_id: one.returns_hash
            for one in known
            if isinstance(one, TrialClosed) and one.trial_id in own
        }
        read = {name: self._read(returns_hash) for name, returns_hash in hashes.items()}
        return {name: series for name, series in read.items() if series is not None}

    def standing(self, family: str) -> "FamilyStanding":
        """The family's count of itself."""
        from quant.governance.trials import standing_of

        records = self.records()
        return standing_of(family, records, self.trial_returns(family, records=records))

    def _keep(self, series: "pd.Series") -> str:
        text = _returns_text(series)
        name = content_hash(text)
        path = self._place(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}")
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
        return name

    def _read(self, returns_hash: str) -> "pd.Series | None":
        import pandas as pd

        path = self._place(returns_hash)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if content_hash(text) != returns_hash:
            return None
        rows = [line.split(",") for line in text.splitlines()]
        return pd.Series([float(value) for _day, value in rows], index=[day for day, _ in rows])

    def _place(self, name: str) -> Path:
        return self.folder / "returns" / f"{name}.csv"


@dataclass(slots=True)
class OpenTrial:
    """A counted trial; setting `returns` inside the block gives it a result."""

    record: TrialOpened
    returns: "pd.Series | None" = field(default=None)


def trial_record(
    *,
    family: str,
    purpose: str,
    description: str,
    parameters: object,
    inputs_hash: str,
    run_id: str = "",
    code_version: str = "",
) -> TrialOpened:
    """The record that counts a trial; many may be appended in one commit."""
    from quant.governance.trials import trial_id

    parameters_hash = content_hash(parameters)
    return TrialOpened(
        trial_id=trial_id(
            family=family,
            purpose=purpose,
            parameters_hash=parameters_hash,
            inputs_hash=inputs_hash,
        ),
        family=family,
        purpose=purpose,
        description=description,
        parameters_hash=parameters_hash,
        run_id=run_id,
        code_version=code_version,
    )


def _returns_text(series: "pd.Series") -> str:
    """One line a session; `repr` of a float comes back to the bit."""
    days = [str(day.date() if hasattr(day, "date") else day) for day in series.index]
    values = [repr(float(value)) for value in series.to_numpy()]
    return "".join(f"{day},{value}\n" for day, value in zip(days, values, strict=True))
