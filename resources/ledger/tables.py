"""The ledger's SQL tables: a projection of the journal, exact in SQLite and in Postgres.

Belongs here: names, columns and the types that keep money and time exact. What fills the tables is
`projection`. Names carry a prefix, since Postgres may be shared with other tools.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator


class ExactDecimal(TypeDecorator[Decimal]):
    """Every digit as given: text in SQLite, whose numbers are floats; NUMERIC elsewhere."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        """The column's own type."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.Text())
        return dialect.type_descriptor(sa.Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:
        """Into the database."""
        if value is None or dialect.name != "sqlite":
            return value
        return format(value, "f")

    def process_result_value(self, value: Any | None, _dialect: sa.Dialect) -> Decimal | None:
        """Out of the database."""
        return None if value is None else Decimal(value)


class UtcTime(TypeDecorator[dt.datetime]):
    """An aware moment: ISO 8601 text in SQLite, which has no time zones."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        """The column's own type."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.Text())
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> Any:
        """Into the database."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(dt.UTC).isoformat()

    def process_result_value(self, value: Any | None, _dialect: sa.Dialect) -> dt.datetime | None:
        """Out of the database."""
        return dt.datetime.fromisoformat(value) if isinstance(value, str) else value


metadata = sa.MetaData()

# Tables of another version are thrown away and derived again.
SCHEMA_VERSION = "3"


def _table(name: str, *columns: Any) -> sa.Table:
    return sa.Table(f"ledger_{name}", metadata, *columns)


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, **options)


def _money(name: str) -> sa.Column[Decimal]:
    return sa.Column(name, ExactDecimal, nullable=False)


def _seq() -> sa.Column[int]:
    return sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False)


def _trace() -> list[sa.Column[Any]]:
    """The columns that every record between decision and fill carries."""
    return [
        _text("decision_id", index=True),
        _text("book"),
        _text("strategy"),
        _text("symbol"),
        sa.Column("session", sa.Date, nullable=False, index=True),
        sa.Column("as_of", UtcTime, nullable=False),
        _text("run_id"),
        _text("snapshot_id"),
        _text("code_version"),
    ]


meta = _table("meta", _text("name", primary_key=True), _text("value"))

events = _table(
    "events",
    _seq(),
    _text("kind", index=True),
    _text("key", unique=True),
    _text("book", index=True),
    _text("decision_id", index=True),
    _text("client_order_id", index=True),
    _text("entity_id", index=True),
    _text("snapshot_id"),
    sa.Column("recorded_at", UtcTime, nullable=False),
    _text("hash"),
    _text("payload"),
)

intents = _table(
    "intents",
    _seq(),
    *_trace(),
    _text("client_order_id", index=True),
    sa.Column("valid_session", sa.Date, nullable=False, index=True),
    _money("quantity"),
    _money("target_weight"),
    _money("reference_price"),
    _money("equity"),
    sa.Column("head_seq", sa.BigInteger, nullable=False),
    _text("head_hash"),
)

orders = _table(
    "orders",
    _seq(),
    *_trace(),
    _text("client_order_id", unique=True),
    sa.Column("valid_session", sa.Date, nullable=False, index=True),
    _text("side"),
    _money("quantity"),
    _money("reference_price"),
    _text("state", index=True),
    sa.Column("moves", sa.Integer, nullable=False),
    _text("reason"),
    _text("venue_order_id"),
    sa.Column("attempt", sa.Integer, nullable=False),
    _money("filled_quantity"),
)

fills = _table(
    "fills",
    _seq(),
    *_trace(),
    _text("fill_id", unique=True),
    _text("client_order_id", index=True),
    sa.Column("sequence", sa.Integer, nullable=False),
    _text("side"),
    _money("quantity"),
    _money("price"),
    _money("notional"),
    _money("reference_price"),
    _text("price_row_hash"),
    sa.Column("event_time", UtcTime, nullable=False),
    _money("spread_amount"),
    _money("slippage_amount"),
    _money("impact_amount"),
    _money("fee_amount"),
    _text("costs_hash"),
    _text("execution_id"),
    sa.Column("is_inferred", sa.Boolean, nullable=False),
    _money("fee_quantity"),
)

refusals = _table(
    "refusals", _seq(), *_trace(), _text("refusal_id", unique=True), _text("gate"), _text("reason")
)

verdicts = _table(
    "verdicts",
    _seq(),
    _text("verdict_id"),
    _text("subject_kind"),
    _text("subject", index=True),
    _text("outcome"),
    _text("reason"),
    sa.Column("session", sa.Date, nullable=False),
    _text("run_id"),
    _text("snapshot_id"),
    _text("code_version"),
)

modes = _table(
    "modes",
    _seq(),
    _text("scope", index=True),
    _text("mode"),
    _text("reason"),
    _text("changed_by"),
    sa.Column("changed_at", UtcTime, nullable=False),
)

trials = _table(
    "trials",
    _seq(),
    _text("trial_id", unique=True),
    _text("family", index=True),
    _text("description"),
    _text("parameters_hash"),
    _text("run_id"),
    _text("code_version"),
)

marks = _table(
    "marks",
    _seq(),
    _text("book", index=True),
    sa.Column("session", sa.Date, nullable=False),
    _money("equity"),
    _money("cash"),
)

postings = _table(
    "postings",
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),
    _text("book", index=True),
    _text("account"),
    _text("symbol"),
    _money("amount"),
    _money("quantity"),
)

books = _table(
    "books",
    _text("name", primary_key=True),
    _text("kind"),
    _text("currency"),
    _text("price_basis"),
    *(_money(name) for name in ("capital", "cash", "realised", "fees", "dividends")),
    sa.Column("opened_session", sa.Date),
    sa.Column("closed_session", sa.Date),
)

positions = _table(
    "positions",
    _text("book", primary_key=True),
    _text("symbol", primary_key=True),
    _money("quantity"),
    _money("cost"),
)

prices = _table(
    "prices", _text("book", primary_key=True), _text("symbol", primary_key=True), _money("price")
)
