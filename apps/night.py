"""Runs nights: the halves of the flow as Dagster runs, with the trader between them.

Belongs here: the order of the steps and the clock they see. Does not belong here: any computation,
and nothing that prints.
"""

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from quant.core.clock import SteppedClock
from quant.core.errors import StateError, UsageError
from quant.core.identity import content_hash
from quant.market.calendars import sessions
from resources.code_versions import STAGES, code_version
from resources.dagster_home import prepare_dagster_home
from resources.desk import Desk
from resources.settings import Settings
from resources.telemetry import switch_off

if TYPE_CHECKING:
    import dagster as dg

    from apps.trader.session_events import TradeSummary
    from quant.execution.book import Book


# The event log keeps everything; a person at the terminal wants the result.
QUIET_CONSOLE = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
CODE_TAG, POLICY_TAG = "pmx/code", "pmx/policy"
_INTERRUPTIONS = {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NightResult:
    """What one night did."""

    session: dt.date
    run_ids: tuple[str, ...]
    trades: int
    equity: Decimal | None
    note: str


class NightRunner:
    """One process's way to run nights, on one desk and one Dagster instance."""

    def __init__(self, settings: Settings) -> None:
        self.desk = Desk(settings)
        self.desk.prepare()  # beside this process's own imports
        self._settings = settings

    def close(self) -> None:
        """Hand the records of these nights to MLflow's sender, and let go of everything."""
        self.desk.close()

    @cached_property
    def instance(self) -> "dg.DagsterInstance":
        """The installation's own instance."""
        return open_instance(self._settings)

    @cached_property
    def definitions(self) -> "dg.Definitions":
        """The code location with this runner's desk."""
        from dagster_project.definitions import build_defs

        return build_defs(resources={"desk": self.desk})

    def run_job(self, name: str, first: dt.date, last: dt.date | None = None) -> str:
        """Run a job for a session, or for a range of them in one run; returns the run's id."""
        return self._execute(name, self.definitions.resolve_job_def(name), first, last)

    def run_assets(
        self, keys: "Sequence[dg.AssetKey]", first: dt.date, last: dt.date | None = None
    ) -> str:
        """Materialise some assets, as the web pages' button does; returns the run's id."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        return self._execute("materialize", job, first, last, asset_selection=list(keys))

    def _execute(
        self, name: str, job: "dg.JobDefinition", first: dt.date, last: dt.date | None, **more: Any
    ) -> str:
        one = last is None or last == first
        result = job.execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            run_config=QUIET_CONSOLE,
            partition_key=first.isoformat() if one else None,
            tags=self.origin_tags
            if one
            else {**self.origin_tags, **range_tags(first, last or first)},
            **more,
        )
        if not result.success:
            raise failed_run(name, result)
        return str(result.run_id)

    @cached_property
    def origin_tags(self) -> dict[str, str]:
        """What a run says of its code and policy, so that a backfill knows what is up to date."""
        return {
            CODE_TAG: content_hash({stage: code_version(stage) for stage in STAGES}),
            POLICY_TAG: self.desk.policies.content_hash,
        }

    def trade(self, session: dt.date) -> "TradeSummary | None":
        """Let the trader settle the intents that are valid in `session`; None before any book."""
        from apps.trader.desk_session import trade_on_desk

        return trade_on_desk(self.desk, session)

    def run_night(
        self, session: dt.date, *, on_step: Callable[[str], None] = lambda _step: None
    ) -> NightResult:
        """Both halves of one night, with the trader between them; `on_step` hears what is done."""
        self._require_order(session)
        self._require_opened()
        self._stand_after(session)
        collected = self.run_job("collect", session)
        on_step("bars collected and judged")
        summary = self.trade(session)
        on_step("pending orders traded")
        decided = self.run_job("decide", session)
        on_step("decided and audited")
        return _result(session, (collected, decided), summary)

    def send_to_mlflow(self) -> "Future[Any]":
        """Send what waits for MLflow, in the companion process; failing costs only the records."""
        settings = self._settings
        return self.desk.companion.submit(
            "resources.tracking:flush_outbox",
            str(settings.home / "outbox"),
            settings.mlflow_url,
            str(settings.mlflow_artifacts),
        )

    def run_trading_night(self, session: dt.date) -> NightResult:
        """A night whose research is already there: the trader, then what depends on the book."""
        self._stand_after(session)
        summary = self.trade(session)
        return _result(session, (self.run_job("trading", session),), summary)

    def _stand_after(self, session: dt.date) -> None:
        """Decisions of a night are made in the moment after its data came in.

        A night that is run later, as in a replay through history, stands in that moment again.
        """
        self.desk.clock = SteppedClock(self.desk.as_of(session))

    def _require_order(self, session: dt.date) -> None:
        """A book trades forward; what lies behind it is for `pmx backfill`."""
        closed = self.last_traded
        if closed is not None and session < closed:
            raise UsageError(
                f"the book {self._settings.book} has traded {closed} already, "
                f"so {session} cannot be a night of it any more",
                remedy=f"use `pmx backfill --from {session} --to {session}`: "
                "it recomputes research and trades nothing",
            )

    def _require_opened(self) -> None:
        """Said before a night's work and not after it."""
        from assets.order.decide import require_no_venue

        if self._book is None:
            require_no_venue(self.desk)

    @property
    def last_traded(self) -> dt.date | None:
        """The last session of the book, if it has any."""
        book = self._book
        return None if book is None else book.closed_session

    @property
    def _book(self) -> "Book | None":
        """The book as the ledger has it; None before its opening."""
        if not (self._settings.paths.ledger / "journal.jsonl").exists():
            return None
        with self.desk.ledger() as ledger:
            name = self._settings.book
            return ledger.book(name) if name in ledger.books() else None


def range_tags(first: dt.date, last: dt.date) -> dict[str, str]:
    """How a run says that it is one run for a range of sessions."""
    return {RANGE_START_TAG: first.isoformat(), RANGE_END_TAG: last.isoformat()}


def open_instance(settings: Settings) -> "dg.DagsterInstance":
    """Dagster's instance of this installation, so that every run shows in the web pages."""
    import dagster as dg

    prepare_dagster_home(settings)
    switch_off(os.environ)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    return dg.DagsterInstance.get()


def _result(
    session: dt.date, run_ids: tuple[str, ...], summary: "TradeSummary | None"
) -> NightResult:
    return NightResult(
        session=session,
        run_ids=run_ids,
        trades=len(summary.fills) if summary else 0,
        equity=summary.equity if summary else None,
        note=summary.note if summary else "",
    )


def failed_run(name: str, result: Any) -> BaseException:
    """The first cause of a failed run, as the error it was or as a sentence that names the run.

    Dagster takes Ctrl-C for a failure, of the step that it fell into or of the run where it fell
    between two; here it stays what it was.
    """
    failures = [event for event in result.all_events if event.is_failure]
    for event in failures:
        error = getattr(event.event_specific_data, "error", None)
        if error and _INTERRUPTIONS & {error.cls_name, (error.cause or error).cls_name}:
            return KeyboardInterrupt()
    for event in failures:
        if event.is_step_failure:
            error = event.event_specific_data.error
            root = error.cause or error
            return StateError(
                f"the job {name} failed in {event.step_key}: {root.message.strip()}",
                remedy=f"`pmx up` shows run {result.run_id}; mend the cause and run it again: "
                "what was written stays, nothing is half",
            )
    return StateError(f"the job {name} failed", remedy=f"`pmx up` shows run {result.run_id}")


def last_sessions(calendar: str, end: dt.date, count: int) -> Sequence[dt.date]:
    """The last `count` sessions up to and including `end`."""
    days = sessions(calendar, end - dt.timedelta(days=2 * count + 30), end)
    return [day.item() for day in days[-count:]]


@contextmanager
def night_runner(settings: Settings) -> Iterator[NightRunner]:
    """A runner that is closed at the end, whatever happened."""
    runner = NightRunner(settings)
    try:
        yield runner
    finally:
        runner.close()
