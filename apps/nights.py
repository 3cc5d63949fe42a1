"""Facts about nights that several commands print, and which night comes next."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from apps.night import NightRunner
from assets.audit.report import report_path
from assets.audit.report_frames import GATE_MODEL
from quant.core.clock import SystemClock
from quant.core.errors import UsageError
from quant.market.calendars import next_session
from quant.market.sources import BarRequest
from resources.desk import Desk

# How far back a source is asked for its newest session before it counts as having none.
SEARCH_DAYS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class NightFacts:
    """One session of the book, as ledger and warehouse know it."""

    session: dt.date
    equity: Decimal | None
    intents: int
    refusals: int
    audits: int
    gate: str
    gate_reason: str
    report: str


def night_facts(desk: Desk, session: dt.date) -> NightFacts:
    """What is known of a session after its night."""
    book = desk.settings.book
    with desk.ledger() as ledger:
        marks = [mark for mark in ledger.marks(book) if mark.session <= session]
        intents = len(ledger.intents(book=book, session=session))
        refusals = len(ledger.refusals(book=book, session=session))
    decisions = desk.warehouse.rows(
        "SELECT decision, reason, effective_audits FROM audit.decisions "
        "WHERE model = ? AND session <= ? ORDER BY session DESC LIMIT 1",
        [GATE_MODEL, session],
    )
    gate, reason, audits = decisions[0] if decisions else ("none yet", "no audit yet", 0)
    page = report_path(desk, session)
    return NightFacts(
        session=session,
        equity=marks[-1].equity if marks else None,
        intents=intents,
        refusals=refusals,
        audits=audits,
        gate=gate,
        gate_reason=reason,
        report=str(page) if page.exists() else "not written yet",
    )


def next_night(runner: NightRunner) -> dt.date:
    """The session after the last one that was decided, as far as the sources have data."""
    desk = runner.desk
    newest = newest_session(desk)
    last = last_decided(desk)
    if last is None or last >= newest:
        return newest
    if not report_path(desk, last).exists():  # killed before its end: it goes on
        return last
    return next_session(desk.universe.calendar, last)


def last_decided(desk: Desk) -> dt.date | None:
    """The newest session with an intent or a refusal in the book."""
    if not (desk.settings.paths.ledger / "journal.jsonl").exists():
        return None
    with desk.ledger() as ledger:
        book = desk.settings.book
        decided = [*ledger.intents(book=book), *ledger.refusals(book=book)]
    return max((one.session for one in decided), default=None)


def newest_session(desk: Desk) -> dt.date:
    """The last session for which the sources have bars of the universe."""
    universe = desk.universe
    today = SystemClock().now().date()
    request = BarRequest(
        symbols=universe.symbols,
        start=universe.history_start,
        end=today,
        basis=universe.basis,
        asset_class=universe.asset_class,
    )
    bars = desk.sources.fetch(request).bars
    if bars.empty:
        raise UsageError(
            f"no source has bars of the universe {universe.name}",
            remedy="look at `pmx config show`, or load a file with `pmx ingest PATH`",
        )
    newest: dt.date = max(bars["session"])
    return newest
