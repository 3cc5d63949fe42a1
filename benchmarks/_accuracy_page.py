"""The page of the accuracy study: tables as they came out, with what they were made of."""

import datetime as dt
import math
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant.forecasting.combine import COMBINED
from quant.forecasting.policy import ForecastPolicy
from resources.code_versions import code_version

if TYPE_CHECKING:
    from benchmarks.accuracy import Findings

_VERSIONS = ("numpy", "scipy", "pandas", "statsmodels", "arch", "statsforecast")
_SURE = 0.05

_INTRODUCTION = """# How accurate the forecasts are

Written by `python -m benchmarks.accuracy`; nothing on this page is edited by hand. It shows every
model of this product, the ensemble that decisions use (`combined`) and three of statsforecast's,
also where naive drift wins. The prices are those of companies that survived, which makes all of
them look calmer than they were; models are compared on the same prices, which is fair to each.

How to read it: after each origin every model forecasts the cumulative log return over the next 1, 5
and 20 sessions from the {window} sessions before, refitted at every origin. A row counts only where
all models answered. Errors are in percent. *Ratio* is the model's over naive drift's, below one is
better; *p* is the chance of a difference as large between two equal forecasts (Diebold and Mariano,
corrected for few forecasts, on the mean over symbols at each origin). An honest 50 % band holds
half of the outcomes.
"""


def write_page(
    path: Path, findings: Sequence["Findings"], *, policy: ForecastPolicy, today: dt.date
) -> None:
    """Everything that was found, as Markdown."""
    parts = [_INTRODUCTION.format(window=policy.fit_window_sessions)]
    parts += [_section(one) for one in findings]
    parts.append(_made_of(policy, today))
    path.write_text("\n".join(parts), encoding="utf-8")


def accepted_line(findings: "Findings") -> str:
    """Whether the ensemble beats naive drift on pinball loss, horizon by horizon."""
    from benchmarks.accuracy import acceptance

    said = []
    for row in acceptance(findings):
        days = row["name"].removeprefix("accuracy_pinball_").removesuffix("d")
        word = "yes" if row["ratio"] < row["limit"] else "no"
        said.append(f"{days} {'day' if days == '1' else 'days'}: {word} ({row['ratio']:.4f})")
    return f"**The ensemble beats naive drift on pinball loss:** {', '.join(said)}."


def _section(findings: "Findings") -> str:
    sample = findings.sample
    lines = [
        f"## {sample.name[0].upper()}{sample.name[1:]}",
        "",
        f"{findings.origins} origins from {findings.first_session} to {findings.last_session}, one "
        f"every {sample.every_sessions} sessions. {accepted_line(findings)}",
        "",
        "| days | model | forecasts | RMSE % | MAE % | pinball % | in 50 % | in 90 % "
        "| RMSE ratio | p | pinball ratio | p |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *[_line(row) for row in findings.table.to_dict("records")],
        "",
        _failures(findings),
        "",
        _weights(findings),
        "",
    ]
    return "\n".join(lines)


def _line(row: dict[Any, Any]) -> str:
    model = f"**{row['model']}**" if row["model"] == COMBINED else row["model"]
    cells = [
        str(row["horizon_days"]),
        model,
        f"{row['count']:,}",
        *(f"{100 * row[name]:.3f}" for name in ("rmse", "mae", "pinball")),
        *(f"{100 * row[name]:.1f}" for name in ("coverage_50", "coverage_90")),
        f"{row['rmse_ratio']:.4f}",
        _p_value(row["rmse_p_value"]),
        f"{row['pinball_ratio']:.4f}",
        _p_value(row["pinball_p_value"]),
    ]
    return f"| {' | '.join(cells)} |"


def _p_value(value: float) -> str:
    if math.isnan(value):
        return "–"
    said = "<0.001" if value < 0.001 else f"{value:.3f}"
    return f"**{said}**" if value < _SURE else said


def _failures(findings: "Findings") -> str:
    failed = {name: count for name, count in findings.failures.items() if count}
    if not failed:
        return "No model was silent."
    told = ", ".join(f"{name} {count}" for name, count in sorted(failed.items()))
    return f"Forecasts that a model did not make: {told}."


def _weights(findings: "Findings") -> str:
    means = findings.weights.groupby(["part", "model"])["weight"].mean()
    said = [
        f"{part}: " + ", ".join(f"{model} {share:.2f}" for (_, model), share in rows.items())
        for part, rows in means.groupby(level="part")
    ]
    return f"Mean weights in the ensemble, of the {'; of the '.join(said)}."


def _made_of(policy: ForecastPolicy, today: dt.date) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in _VERSIONS)
    return "\n".join(
        [
            "## Made of",
            "",
            f"- Written on {today} with Python {platform.python_version()}, {packages}.",
            f"- Code of the forecasts: `{code_version('forecast')}`. Policy: shipped "
            f"`config/forecasts.yaml`, horizons {list(policy.horizons_days)}.",
            "- Prices: `data/sample`, see its README for where they come from. Bitcoin is bundled "
            "from 2020-01-01 to 2021-10-27 only.",
            "- Rivals: statsforecast's automatic models without a season on the log price of the "
            "same window, with their own intervals.",
            "",
        ]
    )
