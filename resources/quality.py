"""Great Expectations as a gate: suites in, findings out.

Belongs here: reading the suites under `great_expectations/suites`, having a table judged (in the
companion process if there is one), and the report that callers keep. Does not belong here: the
judging itself (`resources.quality_engine`), what the check columns of bars mean
(`quant.market.quality`), what follows from a finding (`quant.market.quality_gate`), or the pages
for people (`resources.quality_docs`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from quant.core.errors import PolicyError, UsageError
from quant.market.quality_rules import QualityPolicy, Severity
from resources.companion import Companion

SUITES_DIR: Final = Path(__file__).resolve().parents[1] / "great_expectations" / "suites"

# Where tables are judged, and what a companion should do ahead of the first call.
ENGINE: Final = "resources.quality_engine"
WARM_UP: Final = f"{ENGINE}:vendor"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedExpectation:
    """One statement of a suite that did not hold."""

    rule: str
    expectation: str
    column: str
    severity: str
    sentence: str
    unexpected_count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SuiteReport:
    """The verdict of one suite on one table. `document` is the tool's own record, as JSON."""

    suite: str
    run_name: str
    success: bool
    evaluated: int
    failed: tuple[FailedExpectation, ...]
    findings: pd.DataFrame
    statistics: Mapping[str, float | int | None]
    document: str

    @property
    def blocks(self) -> bool:
        """Whether something critical failed, so that the table must not go on as it is."""
        return any(failure.severity == Severity.CRITICAL.value for failure in self.failed)


class Quality:
    """Judges tables by the suites of the repository."""

    def __init__(
        self,
        *,
        suites_dir: Path = SUITES_DIR,
        policy: QualityPolicy | None = None,
        companion: Companion | None = None,
    ) -> None:
        """Limits named `$PARAMETER` in a suite are fields of `policy`."""
        self._suites_dir = suites_dir
        self._parameters = (policy or QualityPolicy()).model_dump()
        # One that was never started runs everything in this process.
        self._companion = companion or Companion()

    def suites(self) -> tuple[str, ...]:
        """The names that `validate` takes."""
        return tuple(sorted(path.stem for path in self._suites_dir.glob("*.json")))

    def validate(
        self,
        suite: str,
        frame: pd.DataFrame,
        *,
        keys: Sequence[str] = ("symbol", "session"),
        run_name: str,
    ) -> SuiteReport:
        """Judge `frame` and wait for the verdict."""
        return self.submit(suite, frame, keys=keys, run_name=run_name).result()

    def submit(
        self,
        suite: str,
        frame: pd.DataFrame,
        *,
        keys: Sequence[str] = ("symbol", "session"),
        run_name: str,
    ) -> "Future[SuiteReport]":
        """Have `frame` judged while the caller goes on; without a companion it is judged now."""
        statements = self.read(suite)
        return self._companion.submit(
            f"{ENGINE}:validate_here",
            statements,
            _only_what_is_judged(frame, statements, keys),
            parameters=self._parameters,
            run_name=run_name,
        )

    def submit_docs(self, reports: Iterable[SuiteReport], out_dir: Path) -> "Future[Path]":
        """Have the pages for people written; the future holds the index."""
        return self._companion.submit(
            "resources.quality_docs:build_data_docs", list(reports), out_dir
        )

    def read(self, suite: str) -> dict[str, Any]:
        """The suite as its file states it."""
        path = self._suites_dir / f"{suite}.json"
        try:
            statements: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UsageError(
                f"there is no suite {suite!r} in {self._suites_dir}",
                remedy=f"use one of: {', '.join(self.suites())}",
            ) from error
        except ValueError as error:
            raise PolicyError(
                f"the suite {path} is not valid JSON: {error}",
                remedy="restore the file from the repository",
            ) from error
        return statements


def _only_what_is_judged(
    frame: pd.DataFrame, statements: Mapping[str, Any], keys: Sequence[str]
) -> pd.DataFrame:
    """The columns that the suite or the key names, so that no others cross to the companion."""
    wanted = set(keys)
    for statement in statements["expectations"]:
        kwargs = statement["kwargs"]
        wanted |= {kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs}
        wanted |= set(kwargs.get("column_list", ())) | set(kwargs.get("column_set", ()))
    return frame.loc[:, [column for column in frame.columns if column in wanted]]
