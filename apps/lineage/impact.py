"""What one bar touched: every row that had it in its window, and the money that followed.

Belongs here: following a bar forwards through the stages. Does not belong here: following a
decision backwards (`trail`). A bar gives two returns, its own session's and the next one's; a model
is touched when its window holds one of them.
"""

import datetime as dt
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apps.lineage.lakes import Lakes, as_date
from apps.lineage.subject import open_ledger
from apps.lineage.trail import CLEAN, FEATURES, RAW, SIGNALS, TARGETS, VERDICTS
from assets.model.zoo import ENSEMBLED, FITTED, MODELS
from quant.core.errors import UsageError
from quant.execution.book import ZERO, Book, apply
from quant.execution.events import FillRecorded
from quant.execution.orders import Fill
from quant.forecasting.policy import ForecastPolicy
from quant.market.symbols import check_symbol
from quant.signals.strategies import StrategiesPolicy

if TYPE_CHECKING:
    from resources.ledger.ledger import Ledger

TABLES = (CLEAN, RAW)
UNFITTED = tuple(model for model in MODELS if model not in FITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """The rows of one table that a bar touched."""

    table: str
    rows: int
    first_session: dt.date | None = None
    last_session: dt.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What the touched fills moved. `realised` is what they closed; fees stand apart from it."""

    notional: Decimal = ZERO
    fees: Decimal = ZERO
    slippage: Decimal = ZERO
    realised: Decimal = ZERO
    position: Decimal = ZERO
    position_worth: Decimal = ZERO
    unrealised: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class BarImpact:
    """Everything that one bar touched."""

    table: str
    key: str
    symbol: str
    session: dt.date
    versions: int
    row_hash: str
    close: float | None
    touched: tuple[Touched, ...]
    book: str
    money: Money
    verdicts: Touched
    other_decisions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    """The bar asked about, and from when on it could be seen."""

    symbol: str
    session: dt.date
    # The next session: its return begins at this bar's close.
    following: dt.date
    seen_from: dt.date
    raw_hashes: tuple[str, ...]


def bar_impact(lakes: Lakes, table: str, key: Sequence[str]) -> BarImpact:
    """What the bar of `key`, a symbol and a session, touched."""
    if table not in TABLES:
        raise UsageError(
            f"the impact of a row of {table!r} is not followed",
            remedy=f"use {' or '.join(TABLES)}, with a symbol and a session",
        )
    symbol, session = _parsed(table, key)
    rows = _versions(lakes, table, symbol, session)
    if not rows:
        raise _unknown(lakes, table, symbol, session)
    newest = rows[-1]
    bar = _Bar(
        symbol=symbol,
        session=session,
        following=_next(lakes, session),
        seen_from=_seen_from(lakes, session, rows[0]["known_at"]),
        raw_hashes=tuple(row["raw"] for row in rows),
    )
    return _followed(lakes, table, bar, versions=len(rows), newest=newest)


def _followed(
    lakes: Lakes, table: str, bar: _Bar, *, versions: int, newest: dict[str, Any]
) -> BarImpact:
    nights = _forecast_nights(lakes, bar)
    decisions = _decisions(lakes, bar, nights)
    book = lakes.desk.settings.book
    with open_ledger(lakes.desk) as ledger:
        fills = _fills(ledger, book, bar, decisions) if ledger else []
        orders = list(_orders(ledger, book, decisions, fills)) if ledger else []
        money = _money(ledger, book, bar.symbol, fills) if ledger else Money()
    verdicts = _verdicts(lakes, bar)
    return BarImpact(
        table=table,
        key=f"{bar.symbol} {bar.session}",
        symbol=bar.symbol,
        session=bar.session,
        versions=versions,
        row_hash=newest["hash"],
        close=newest["close"],
        touched=(*_research(lakes, bar, nights, decisions), *orders),
        book=book,
        money=money,
        verdicts=verdicts,
        other_decisions=_decided_under(lakes, bar, verdicts),
    )


def _parsed(table: str, key: Sequence[str]) -> tuple[str, dt.date]:
    remedy = f"such as: pmx impact {table} AAPL 2022-11-15"
    if len(key) != 2:
        raise UsageError(f"a key of {table} is a symbol and a session", remedy=remedy)
    try:
        return check_symbol(key[0]).upper(), dt.date.fromisoformat(key[1])
    except ValueError as error:
        raise UsageError(f"{key[1]!r} is no day", remedy=remedy) from error


def _versions(lakes: Lakes, table: str, symbol: str, session: dt.date) -> list[dict[str, Any]]:
    """All versions of the bar, oldest knowledge first."""
    raw = "row_hash" if table == RAW else "raw_row_hash"
    rows = lakes.newest.rows(
        f"SELECT row_hash, {raw}, known_at, close FROM {table} "
        "WHERE symbol = ? AND session = ? AND basis = ? ORDER BY known_at",
        [symbol, session, str(lakes.desk.universe.basis)],
    )
    return [dict(zip(("hash", "raw", "known_at", "close"), row, strict=True)) for row in rows]


def _unknown(lakes: Lakes, table: str, symbol: str, session: dt.date) -> UsageError:
    basis = str(lakes.desk.universe.basis)
    near = lakes.newest.rows(
        f"SELECT max(session) FILTER (session < $day), min(session) FILTER (session > $day) "
        f"FROM {table} WHERE symbol = $symbol AND basis = $basis",
        {"day": session, "symbol": symbol, "basis": basis},
    )[0]
    days = sorted((day for day in near if day), key=lambda day: abs(day - session))
    if days:
        others = f" (also near: {days[1]})" if len(days) > 1 else ""
        return UsageError(
            f"{table} has no bar of {symbol} on {session}",
            remedy=f"the nearest session is {days[0]}{others}",
        )
    known = [
        name
        for (name,) in lakes.newest.rows(
            f"SELECT DISTINCT symbol FROM {table} WHERE basis = ?", [basis]
        )
    ]
    close = difflib.get_close_matches(symbol, known, n=3, cutoff=0.3)
    hint = f"did you mean {' or '.join(close)}?" if close else "load its history first"
    return UsageError(f"{table} has no bars of {symbol} ({basis})", remedy=hint)


def _next(lakes: Lakes, session: dt.date) -> dt.date:
    from quant.market.calendars import next_session

    return next_session(lakes.desk.universe.calendar, session)


def _seen_from(lakes: Lakes, session: dt.date, known_at: dt.datetime) -> dt.date:
    """The first session whose decisions could see the bar."""
    day = session
    while lakes.desk.as_of(day) < known_at:
        day = _next(lakes, day)
    return day


def _forecast_nights(lakes: Lakes, bar: _Bar) -> dict[str, set[dt.date]]:
    """By model, the sessions whose forecast had the bar in its window."""
    nights = {model: _fitted_nights(lakes, bar, model) for model in FITTED}
    nights |= {model: _unfitted_nights(lakes, bar, model) for model in UNFITTED}
    parts = (nights[part] for part in ENSEMBLED)
    return nights | {"combined": _weighed_nights(lakes, bar, set().union(*parts))}


def _weighed_nights(lakes: Lakes, bar: _Bar, parts: set[dt.date]) -> set[dt.date]:
    """Nights that combined a touched forecast, or weighed a model by how one had turned out."""
    from quant.market.calendars import sessions

    rows = lakes.newest.rows(
        "SELECT DISTINCT session FROM forecast.combined WHERE symbol = ? AND session >= ?",
        [bar.symbol, bar.seen_from],
    )
    found = {session for (session,) in rows}
    if not found:
        return parts
    days = sessions(lakes.desk.universe.calendar, bar.session, max(found)).tolist()
    reach = lakes.desk.policy("forecasts", ForecastPolicy).ensemble.record_sessions
    # The bar gives the outcomes of two sessions, its own and the next one's.
    losses = parts | {bar.session, bar.following}
    return parts | {
        day
        for place, day in enumerate(days)
        if day in found and not losses.isdisjoint(days[max(place - reach, 0) : place + 1])
    }


def _fitted_nights(lakes: Lakes, bar: _Bar, model: str) -> set[dt.date]:
    """A filter runs from the start of its fit's window to the session of the forecast."""
    rows = lakes.newest.rows(
        f"SELECT DISTINCT f.session FROM forecast.{model} AS f JOIN model.{model}_fits AS m "
        "ON m.symbol = f.symbol AND m.fit_as_of = f.fit_as_of "
        "WHERE f.symbol = ? AND f.session >= ? AND m.filter_from <= ?",
        [bar.symbol, bar.seen_from, bar.following],
    )
    return {session for (session,) in rows}


def _unfitted_nights(lakes: Lakes, bar: _Bar, model: str) -> set[dt.date]:
    from quant.market.calendars import sessions

    policy = lakes.desk.policy("forecasts", ForecastPolicy)
    # Persistence takes its mean from the last session, and its deviation from this window too.
    window = policy.naive_window_sessions
    rows = lakes.newest.rows(
        f"SELECT DISTINCT session FROM forecast.{model} WHERE symbol = ? AND session >= ?",
        [bar.symbol, bar.seen_from],
    )
    found = {session for (session,) in rows}
    if not found:
        return found
    days = [day.item() for day in sessions(lakes.desk.universe.calendar, bar.session, max(found))]
    # The bar's last return is the next session's, and it stays for `window` sessions.
    return found & set(days[: window + 1])


def _decisions(lakes: Lakes, bar: _Bar, nights: dict[str, set[dt.date]]) -> set[str]:
    """The decisions on this symbol that a touched forecast or the bar's own price went into."""
    strategies = lakes.desk.policy("strategies", StrategiesPolicy).strategies
    found: set[str] = set()
    for strategy in strategies:
        days = nights.get(strategy.forecast, set()) | {bar.session}
        rows = lakes.newest.rows(
            f"SELECT decision_id FROM {SIGNALS} WHERE strategy = ? AND symbol = ? "
            "AND session >= ? AND session IN (SELECT unnest(?::DATE[]))",
            [strategy.name, bar.symbol, bar.seen_from, sorted(days)],
        )
        found |= {decision for (decision,) in rows}
    return found


def _research(
    lakes: Lakes, bar: _Bar, nights: dict[str, set[dt.date]], decisions: set[str]
) -> Iterator[Touched]:
    own = [bar.symbol, bar.seen_from]
    yield _count(lakes, FEATURES, "symbol = ? AND session >= ?", own)
    for model in FITTED:
        yield _count(
            lakes,
            f"model.{model}_fits",
            "symbol = ? AND fit_as_of >= ? AND filter_from <= ?",
            [*own, bar.following],
            column="fit_as_of",
        )
    for model, days in nights.items():
        yield _count(
            lakes,
            f"forecast.{model}",
            "symbol = ? AND session IN (SELECT unnest(?::DATE[]))",
            [bar.symbol, sorted(days)],
        )
    for table in (SIGNALS, TARGETS):
        yield _count(
            lakes,
            table,
            "decision_id IN (SELECT unnest(?::VARCHAR[]))",
            [sorted(decisions)],
        )
    yield _scores(lakes, bar, nights)


def _scores(lakes: Lakes, bar: _Bar, nights: dict[str, set[dt.date]]) -> Touched:
    """Scores of touched forecasts, and those whose realised return holds one of the bar's."""
    pairs = [(model, day) for model, days in nights.items() for day in sorted(days)]
    return _count(
        lakes,
        "audit.forecast_scores",
        "symbol = ? AND session >= ? AND (forecast_session <= ? OR "
        "list_contains(?::VARCHAR[], model || ' ' || forecast_session::VARCHAR))",
        [
            bar.symbol,
            bar.seen_from,
            bar.session,
            [f"{model} {day}" for model, day in pairs],
        ],
    )


def _verdicts(lakes: Lakes, bar: _Bar) -> Touched:
    """Verdicts whose hold-out, or the fit before it, had the bar."""
    from quant.market.calendars import sessions

    policy = lakes.desk.policy("forecasts", ForecastPolicy)
    reach = policy.holdout_sessions + policy.fit_window_sessions
    end = bar.session + dt.timedelta(days=2 * reach)
    days = sessions(lakes.desk.universe.calendar, bar.session, end)[: reach + 1]
    return _count(lakes, VERDICTS, "session BETWEEN ? AND ?", [bar.seen_from, max(days).item()])


def _count(
    lakes: Lakes, table: str, where: str, values: Sequence[object], *, column: str = "session"
) -> Touched:
    ((rows, first, last),) = lakes.newest.rows(
        f"SELECT count(*), min({column}), max({column}) FROM {table} WHERE {where}", values
    )
    return Touched(table=table, rows=rows, first_session=first, last_session=last)


def _fills(ledger: "Ledger", book: str, bar: _Bar, decisions: set[str]) -> list[Fill]:
    """Fills that a touched decision led to, or that met this bar's price."""
    return [
        fill
        for fill in ledger.fills(book=book, symbol=bar.symbol)
        if fill.decision_id in decisions or fill.price_row_hash in bar.raw_hashes
    ]


def _orders(
    ledger: "Ledger", book: str, decisions: set[str], fills: list[Fill]
) -> Iterator[Touched]:
    intents = [one for one in ledger.intents(book=book) if one.decision_id in decisions]
    refusals = [one for one in ledger.refusals(book=book) if one.decision_id in decisions]
    yield _listed("order.intents", [one.session for one in intents])
    yield _listed("order.refusals", [one.session for one in refusals])
    yield _listed("order.fills", [as_date(one.event_time) for one in fills])


def _listed(table: str, days: Sequence[dt.date]) -> Touched:
    return Touched(
        table=table,
        rows=len(days),
        first_session=min(days, default=None),
        last_session=max(days, default=None),
    )


def _money(ledger: "Ledger", book: str, symbol: str, fills: list[Fill]) -> Money:
    if book not in ledger.books():
        return Money()
    today = ledger.book(book)
    held = today.positions.get(symbol)
    worth = held.quantity * today.prices[symbol] if held and symbol in today.prices else ZERO
    return Money(
        notional=sum((fill.notional for fill in fills), start=ZERO),
        fees=sum((fill.fee_amount for fill in fills), start=ZERO),
        slippage=sum(
            (one.spread_amount + one.slippage_amount + one.impact_amount for one in fills),
            start=ZERO,
        ),
        realised=_realised(ledger, book, {fill.fill_id for fill in fills}),
        position=held.quantity if held else ZERO,
        position_worth=worth,
        unrealised=worth - held.cost if held and worth else ZERO,
    )


def _realised(ledger: "Ledger", book: str, fill_ids: set[str]) -> Decimal:
    """What these fills realised when they met the book, at its average cost of that moment."""
    state: Book | None = None
    total = ZERO
    for event in ledger.events(book=book):
        before = state.realised if state else ZERO
        state = apply(state, event)
        if isinstance(event, FillRecorded) and event.fill.fill_id in fill_ids and state:
            total += state.realised - before
    return total


def _decided_under(lakes: Lakes, bar: _Bar, verdicts: Touched) -> int:
    """Decisions on other symbols that a verdict from this bar on has let through or stopped."""
    if verdicts.first_session is None:
        return 0
    ((count,),) = lakes.newest.rows(
        f"SELECT count(*) FROM {SIGNALS} WHERE symbol <> ? AND session >= ?",
        [bar.symbol, verdicts.first_session],
    )
    return int(count)
