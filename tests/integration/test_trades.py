"""Round trips of real nights: the command, the table and the book say the same."""

from decimal import Decimal

from apps.cli.trades import run as trades
from resources.desk import Desk
from resources.settings import Settings
from tests.support.small_home import small_cli


def test_closed_and_open_results_are_the_books_change_in_equity(small_home: Settings) -> None:
    """Six nights of trading: at every mark not a cent is missing."""
    from assets.audit.closed_trades import unattributed
    from assets.order.lots import attribution_of

    with Desk(small_home) as desk, desk.ledger() as ledger:
        book = small_home.book
        found = attribution_of(desk, ledger, book)
        assert unattributed(ledger, book, found) == 0
        (mark, *_) = reversed(ledger.marks(book))
        assert found.result(mark.prices) == mark.equity - ledger.book(book).capital
        assert found.round_trips, "nothing was closed, so this proves nothing"
        assert found.complete_share == 1.0


def test_the_table_has_what_the_command_says(small_home: Settings) -> None:
    """One row a round trip, net = gross - costs + dividends in every one of them."""
    said = trades(small_cli(small_home), since=None, symbol=None, reason=None)
    with Desk(small_home) as desk:
        rows = desk.warehouse.rows(
            "SELECT trade_id, net_result, gross_result, spread + slippage + impact + fee, "
            "dividends FROM audit.closed_trades ORDER BY trade_id"
        )
    assert [row[0] for row in rows] == sorted(one["trade_id"] for one in said.trades)
    for _, net, gross, costs, dividends in rows:
        assert net == gross - costs + dividends
    assert Decimal(said.net_result) == sum((row[1] for row in rows), start=Decimal(0))
    assert said.complete_share == 1.0


def test_an_installation_that_never_traded_has_no_trades(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """An empty list, and no error."""
    from tests.support.small_home import small_settings, write_policy

    settings = small_settings(tmp_path)
    write_policy(settings.config_dir)
    said = trades(small_cli(settings), since="2022-12-01", symbol=None, reason=None)
    assert (said.count, said.complete_share, said.net_result) == (0, None, "0.00")
