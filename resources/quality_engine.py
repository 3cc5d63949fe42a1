"""Judging a table with Great Expectations, in whatever process this is imported.

Belongs here: the one import of the package, a judgement, and its record turned into a report. Does
not belong here: choosing suites or waiting for verdicts (`resources.quality`).

The finding list is complete. Great Expectations reports the row numbers of everything unexpected
(result format COMPLETE on the plain row index, which costs nothing; with key columns named in the
format it took 21 s for 300,000 rows instead of 0.2 s), and keys and values are looked up here.
"""

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import pandas as pd

from quant.market.quality_gate import findings_at, merge_findings, table_finding
from quant.market.quality_rules import Severity
from resources.deferred_imports import deferred
from resources.quality import FailedExpectation, SuiteReport

_EXACT: Final = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
# Lists that grow with the table; the findings hold the same rows, with their keys.
_BULKY: Final = ("unexpected_list", "unexpected_index_list", "partial_unexpected_index_list")


def validate_here(
    statements: Mapping[str, Any],
    frame: pd.DataFrame,
    *,
    parameters: Mapping[str, Any],
    run_name: str,
) -> SuiteReport:
    """Judge `frame` in this process."""
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
    """The package, imported with analytics off; a companion has the same setting from birth."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
    # Its tests of distributions and their charts, which no suite here asks for, are two fifths of
    # the time that the import takes.
    with deferred("scipy.stats", "altair"):
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
