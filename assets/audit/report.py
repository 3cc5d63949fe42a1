"""The nightly report: one page of everything, as a file."""

import datetime as dt
from pathlib import Path

import dagster as dg

from assets.support import Night, stage_asset_arguments
from resources.desk import Desk


@dg.asset(
    **stage_asset_arguments(
        "audit",
        "report",
        deps=["audit.nights", "audit.decisions", "audit.counterfactuals", "clean.daily_bars"],
    )
)
def report(context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk]) -> dg.MaterializeResult:
    """One HTML page for the last of these sessions; opens without a network."""
    from assets.audit.report_frames import report_inputs
    from quant.governance.report import build_report
    from resources.report_page import write_report

    night = Night(context, desk)
    session = night.sessions[-1]
    inputs = report_inputs(desk, session, night.provenance)
    page = write_report(build_report(inputs), report_path(desk, session))
    return dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.path(str(page)),
            "fills": len(inputs.fills),
            "refusals": len(inputs.refusals),
            "findings": len(inputs.findings),
        }
    )


def report_path(desk: Desk, session: dt.date) -> Path:
    """Where the page of a session lies."""
    return desk.settings.paths.reports / f"{desk.settings.book}-{session}.html"
