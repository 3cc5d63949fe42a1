"""A book at a venue, from its opening to the night that closes its first session.

The venue is the simulated one behind the real alpaca-py; everything else is the product's own.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.cli.main import main
from apps.simulator.faults import FaultFile, FaultRule
from apps.simulator.instruments import stock
from apps.simulator.server import Venue, VenueOptions, running
from resources.desk import Desk
from resources.settings import Settings
from tests.support.small_home import NIGHTS, small_bundle

Call = Callable[..., tuple[int, Any]]
# The day before the last, so that a night is left to close the session.
DECIDED = NIGHTS[-2]
TRADED = NIGHTS[-1]
# Acknowledgements are lost, answers come late or broken: the book must not notice.
FAULTS = (
    FaultRule(fault="ack_lost", on=("submit",), calls=(1,)),
    FaultRule(fault="error_after", on=("submit",), status=504, calls=(2,)),
    FaultRule(fault="page", on=("list",), calls=(2,)),
    FaultRule(fault="truncated", on=("account",), calls=(3,)),
)


@pytest.fixture
def venue(own_home: Settings) -> Iterator[Venue]:
    """Stocks at their last closes; its address stands in the home's brokers.yaml."""
    with Desk(own_home) as desk:
        closes = desk.warehouse.rows(
            "SELECT symbol, close FROM clean.daily_bars WHERE session = ?", [DECIDED]
        )
    made = Venue(
        VenueOptions(
            seed=3,
            faults=FaultFile(rules=FAULTS),
            instruments=tuple(stock(name, f"{close:.2f}") for name, close in closes),
            cash_usd=Decimal(100_000),
        )
    )
    with running(made, {"alpaca": 0}) as urls:
        (own_home.config_dir / "brokers.yaml").write_text(
            "books:\n"
            f"  trial: {{venue: alpaca, environment: simulated, url: '{urls['alpaca']}',\n"
            "    untold_fee_bps: 0, read_account_every_s: 1, grace_s: 2}\n"
        )
        yield made


@pytest.fixture
def pmx(
    own_home: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    """A command's exit code and JSON; the book is the one at the venue."""
    monkeypatch.setenv("PMX_CONFIG_DIR", str(own_home.config_dir))
    monkeypatch.setenv("PMX_WORKERS", "1")
    monkeypatch.setenv("PMX_BOOK", "trial")

    def call(*arguments: str) -> tuple[int, Any]:
        capfd.readouterr()
        with small_bundle(own_home):
            code = main([*arguments, "--json", "--home", str(own_home.home)])
        return code, json.loads(capfd.readouterr().out)

    return call


def orders_at(venue: Venue) -> dict[str, int]:
    """How many orders the venue has by our ids."""
    counts: dict[str, int] = {}
    for order in venue.exchange.accounts["alpaca"].orders.values():
        name = order.request.client_id
        counts[name] = counts.get(name, 0) + 1
    return counts


def test_a_book_trades_at_a_venue_and_the_night_closes_it(
    own_home: Settings, venue: Venue, pmx: Call
) -> None:
    """Opened with the account's cash, decided, sent once in spite of faults, closed, explained."""
    code, answer = pmx("nightly", "--session", str(DECIDED))
    assert (code, "pmx trade" in answer["error"]["remedy"]) == (6, True)
    code, answer = pmx("trade")
    assert (code, answer["session"]) == (0, None)
    assert Decimal(answer["opened_with"]) == 100_000
    assert pmx("nightly", "--session", str(DECIDED))[1]["intents"] > 0

    code, answer = pmx("trade")
    assert code == 0, answer
    assert answer["session"] == str(TRADED)
    assert answer["orders"]
    assert {order["state"] for order in answer["orders"]} == {"filled"}
    assert set(orders_at(venue).values()) == {1}
    account = venue.exchange.accounts["alpaca"]
    assert Decimal(answer["cash"]) == account.balances["USD"].quantize(Decimal("0.01"))
    again = pmx("trade")
    assert (again[0], again[1]["orders"]) == (0, answer["orders"])
    assert set(orders_at(venue).values()) == {1}

    assert pmx("nightly", "--session", str(TRADED))[0] == 0
    settings = dataclasses.replace(own_home, book="trial")
    with Desk(settings) as desk, desk.ledger() as ledger:
        assert ledger.book("trial").closed_session == TRADED
        assert ledger.verify().problems == ()
        fills = ledger.fills(book="trial")
        mirrored = desk.warehouse.rows('SELECT book, count(*) FROM "order".fills GROUP BY book')
        assert dict(mirrored)["trial"] == len(fills)
        assert dict(mirrored)["paper"] == len(ledger.fills(book="paper"))
    code, answer = pmx("replay", fills[0].fill_id, "--verify")
    assert (code, answer["match"]) == (0, True), answer
    assert pmx("why", fills[0].fill_id)[0] == 0
    assert pmx("trade", "--session", str(TRADED))[0] == 6


def test_a_book_without_a_venue_is_told_where_to_get_one(
    own_home: Settings, pmx: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMX_BOOK", "paper")
    code, answer = pmx("trade")
    assert (code, "PMX_BOOK" in answer["error"]["remedy"]) == (2, True)
    path = Path(own_home.config_dir / "brokers.yaml")
    path.write_text("books:\n  paper: {venue: alpaca, environment: live}\n")
    code, answer = pmx("trade")
    assert (code, "no live orders" in answer["error"]["message"]) == (2, True)
