"""The demo's steps: history, research for all nights in one run, then night after night.

Research of a night depends on data alone, so the backfill job makes it for the whole range in one
run; what depends on the book can only be done in order. Every step is resumable: what is there is
not done again.
"""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from apps.cli.demo import Demo
from apps.loading import load_sample
from apps.night import NightRunner, last_sessions, night_runner
from apps.nights import last_decided, night_facts
from quant.core.errors import UsageError
from quant.market.calendars import is_session
from resources.desk import Desk
from resources.language.status import language_status

if TYPE_CHECKING:
    from apps.cli.result import Cli


def run_demo(cli: "Cli", *, sessions: int, until: dt.date) -> Demo:
    """All steps, with progress; running it again does only what is missing."""
    with night_runner(cli.settings) as runner:
        calendar = runner.desk.universe.calendar
        if not is_session(calendar, until):
            raise UsageError(f"{until} is no trading day of {calendar}", remedy="name another day")
        days = last_sessions(calendar, until, sessions)
        done = _is_done(runner.desk, days)
        if not done:
            _run_missing(cli, runner, days)
        return _result(runner.desk, days, was_done_before=done)


def _run_missing(cli: "Cli", runner: NightRunner, days: Sequence[dt.date]) -> None:
    desk, console = runner.desk, cli.console
    _require_own_book(desk, days)
    with console.progress("loading the bundled data", total=1) as progress:
        load_sample(desk, until=days[0], run_id=f"load:{days[0]}")
        progress.advance()
    with console.progress(f"research for {len(days)} nights", total=1) as progress:
        if not _is_researched(desk, days):
            runner.run_job("backfill", days[0], days[-1])
        progress.advance()
    left = _nights_left(desk, days)
    with console.progress("trading nights", total=len(left)) as progress:
        for day in left:
            night = runner.run_trading_night(day)
            progress.advance(note=f"{day} equity {night.equity or '-'}")
    with console.progress("writing the report", total=1) as progress:
        sent = runner.send_to_mlflow()
        runner.run_job("outcomes", days[0], days[-1])
        runner.run_job("report", days[-1])
        sent.result()
        progress.advance()


def _require_own_book(desk: Desk, days: Sequence[dt.date]) -> None:
    """The demo trades a range of its own; no other history may be mixed into its book."""
    decided = last_decided(desk)
    if decided is not None and decided > days[-1]:
        raise UsageError(
            f"the book {desk.settings.book} has nights up to {decided}, after the demo's end",
            remedy="give the demo a home of its own: pmx demo --home DIR",
        )


def _is_researched(desk: Desk, days: Sequence[dt.date]) -> bool:
    rows = desk.warehouse.rows(
        "SELECT count(DISTINCT session) FROM audit.decisions WHERE session BETWEEN ? AND ?",
        [days[0], days[-1]],
    )
    return bool(rows[0][0] == len(days))


def _nights_left(desk: Desk, days: Sequence[dt.date]) -> list[dt.date]:
    """What is not decided yet, and a night that was killed before its row, which is written last.

    Such a night is told again, and adds nothing to the intents that it has recorded.
    """
    decided = last_decided(desk)
    told = {session for (session,) in desk.warehouse.rows("SELECT session FROM audit.nights")}
    return [day for day in days if decided is None or day > decided or day not in told]


def _is_done(desk: Desk, days: Sequence[dt.date]) -> bool:
    from assets.audit.report import report_path

    return last_decided(desk) == days[-1] and report_path(desk, days[-1]).exists()


def _result(desk: Desk, days: Sequence[dt.date], *, was_done_before: bool) -> Demo:
    facts = night_facts(desk, days[-1])
    with desk.ledger() as ledger:
        fills = ledger.fills(book=desk.settings.book)
        refusals = ledger.refusals(book=desk.settings.book)
        if facts.equity is None or not fills:
            raise UsageError(
                "these sessions ended without a fill", remedy="run more of them: --sessions 60"
            )
    refused = desk.warehouse.rows(
        "SELECT reason FROM model.verdicts WHERE NOT passed AND session <= ? "
        "QUALIFY row_number() OVER (PARTITION BY model ORDER BY session DESC) = 1 ORDER BY model",
        [days[-1]],
    )
    return Demo(
        first_session=days[0],
        last_session=days[-1],
        sessions=len(days),
        trades=len(fills),
        refusals=len(refusals),
        audits=facts.audits,
        equity=facts.equity,
        gate=facts.gate,
        gate_reason=facts.gate_reason,
        refused=tuple(reason for (reason,) in refused),
        report=facts.report,
        fill_id=fills[-1].fill_id,
        refusals_by_gate=dict(Counter(one.gate for one in refusals).most_common()),
        language=language_status(desk),
        was_done_before=was_done_before,
    )
