"""Great Expectations as a gate: suites in, findings out.

Belongs here: reading the suites under `great_expectations/suites`, having a table judged (in the
companion process if there is one), and the report that callers keep. Does not belong here: what the
check columns of bars mean (`quant.market.quality`), what follows from a finding
(`quant.market.quality_gate`), or the pages for people (`resources.quality_docs`).

The finding list is complete. Great Expectations reports the row numbers of everything unexpected
(result format COMPLETE on the plain row index, which costs nothing; with key columns named in the
format it took 21 s for 300,000 rows instead of 0.2 s), and keys and values are looked up here.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from quant.core.errors import PolicyError, UsageError
from quant.market.quality_gate import findings_at, merge_findings, table_finding
from quant.market.quality_rules import QualityPolicy, Severity
from resources.companion import Companion

SUITES_DIR: Final = Path(__file__).resolve().parents[1] / "great_expectations" / "suites"

# What a companion should import ahead of the first call.
WARM_MODULES: Final = ("pandas", "great_expectations", "resources.quality")

_EXACT: Final = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
# Lists that grow with the table; the findings hold the same rows, with their keys.
_BULKY: Final = ("unexpected_list", "unexpected_index_list", "partial_unexpected_index_list")


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
            "resources.quality:validate_here",
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


def validate_here(
    statements: Mapping[str, Any],
    frame: pd.DataFrame,
    *,
    parameters: Mapping[str, Any],
    run_name: str,
) -> SuiteReport:
    """Judge `frame` in this process. Great Expectations is imported on the first call."""
    suite = vendor().ExpectationSuite(**statements)
    batch = _batches().get_batch(batch_parameters={"dataframe": frame.reset_index(drop=True)})
    result = batch.validate(suite, result_format=_EXACT, expectation_parameters=dict(parameters))
    failures = [_failure(outcome) for outcome in result.results if not outcome.success]
    found = [_findings(frame, outcome) for outcome in result.results if not outcome.success]
    for outcome in result.results:
        for bulky in _BULKY:
            outcome.result.pop(bulky, None)
    return SuiteReport(
        suite=suite.name,
        run_name=run_name,
        success=bool(result.success),
        evaluated=len(result.results),
        failed=tuple(sorted(failures, key=lambda failure: failure.rule)),
        findings=merge_findings(found),
        statistics=dict(result.statistics),
        document=json.dumps(result.to_json_dict()),
    )


@cache
def vendor() -> Any:
    """The package, imported with analytics off; the companion has the same setting from birth."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
    import great_expectations as gx

    return gx


def quiet_context() -> Any:
    """A context of Great Expectations in memory, without progress bars."""
    context = vendor().get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    return context


@cache
def _batches() -> Any:
    asset = quiet_context().data_sources.add_pandas("pmx").add_dataframe_asset("table")
    return asset.add_batch_definition_whole_dataframe("whole")


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


def _failure(outcome: Any) -> FailedExpectation:
    config = outcome.expectation_config
    return FailedExpectation(
        rule=_rule(config),
        expectation=config.type,
        column=_column(config.kwargs),
        severity=str(config.severity.value),
        sentence=_sentence(outcome),
        unexpected_count=int(outcome.result.get("unexpected_count") or 0),
    )


def _findings(frame: pd.DataFrame, outcome: Any) -> pd.DataFrame:
    """One finding for each unexpected row; one in all where the table as a whole is at fault."""
    config = outcome.expectation_config
    rule, column = _rule(config), _column(config.kwargs)
    severity, sentence = Severity(config.severity.value), _sentence(outcome)
    rows = outcome.result.get("unexpected_index_list")
    if not rows:
        return table_finding(rule=rule, column=column, severity=severity, sentence=sentence)
    return findings_at(
        frame,
        np.asarray(rows, dtype=np.int64),
        rule=rule,
        column=column,
        severity=severity,
        sentence=sentence,
        limit=_upper_limit(config.kwargs),
    )


def _rule(config: Any) -> str:
    return str(config.meta.get("rule", config.type))


def _sentence(outcome: Any) -> str:
    """What the suite says about the rule; what went wrong if it could not be judged at all."""
    config = outcome.expectation_config
    sentence = str(config.meta.get("sentence", config.type))
    problem = _problem(outcome.exception_info)
    if problem:
        return f"{sentence} It could not be judged: {problem}"
    missing = outcome.result.get("details", {}).get("mismatched", {}).get("missing")
    return f"{sentence} Missing: {', '.join(missing)}." if missing else sentence


def _problem(info: Mapping[str, Any]) -> str:
    """The tool nests this record once more when a metric failed."""
    nested = [info, *(part for part in info.values() if isinstance(part, Mapping))]
    raised = [part for part in nested if part.get("raised_exception")]
    return str(raised[0].get("exception_message")) if raised else ""


def _column(kwargs: Mapping[str, Any]) -> str:
    listed = kwargs.get("column_list") or ()
    return str(kwargs.get("column") or kwargs.get("column_A") or ",".join(listed))


def _upper_limit(kwargs: Mapping[str, Any]) -> float | None:
    maximum = kwargs.get("max_value")
    return float(maximum) if maximum is not None and kwargs.get("min_value") is None else None
