"""What the nightly report says, on a small book over the bundled prices."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from quant.core.errors import DataError
from quant.governance.report import build_report
from quant.governance.report_inputs import COLUMNS, ReportInputs, empty_frame
from quant.governance.report_sentences import record_sentence
from quant.governance.report_tables import ROWS_MAX
from quant.governance.report_words import GATE_WORDS, Kind, gate_words, written
from tests.support.report_book import book_inputs


@pytest.fixture(scope="module")
def inputs() -> ReportInputs:
    return book_inputs()


@pytest.fixture(scope="module")
def report(inputs):
    return build_report(inputs)


def test_the_headline_names_the_book_its_worth_the_mode_and_the_gate(inputs, report):
    """One sentence says where the book stands; the second what it is allowed to do."""
    worth = f"{inputs.equity['equity'].iloc[-1]:,.2f} USD"
    assert f"The paper book stands at {worth} after the session of 2022-12-28" in report.headline
    assert report.headline.endswith("Mode: normal. Audit gate: KEEP.")
    change = inputs.equity["equity"].iloc[-1] / inputs.equity["equity"].iloc[0] - 1
    assert f"{change * 100:+.2f} % since" in report.headline


def test_an_empty_night_says_in_words_what_is_missing():
    """No frame, no fact: the report still stands, and claims nothing."""
    report = build_report(ReportInputs())
    assert report.headline == (
        "The paper book has no history yet. Mode: not recorded. Audit gate: no audit yet."
    )
    assert report.trades.empty.startswith("No trades yet")
    assert report.session is None
    assert dict(report.facts)["Run"] == "not recorded"
    assert {figure.label: figure.value for figure in report.figures}["Equity"] == "–"
    assert report.costs.share is None
    assert "was not recorded" in report.quality_sentence


def test_costs_are_exact_sums_of_every_fill(inputs, report):
    """Decimal in, Decimal out; the same cents that the fills carry."""
    assert report.costs.fees == sum(inputs.fills["fee"], Decimal(0))
    assert report.costs.total == report.costs.fees + sum(inputs.fills["slippage"], Decimal(0))


def test_closed_trades_are_summed_in_one_exact_sentence():
    """Buy ten at 100, sell ten at 108, a dollar of fee each way: 78 are left."""
    rows = [
        dict.fromkeys(COLUMNS["fills"], 0)
        | {"symbol": "A", "side": side, "quantity": 10, "price": price, "fee": 1.0}
        | {"session": dt.date(2022, 1, day)}
        for side, price, day in (("sell", 108.0, 4), ("buy", 100.0, 3))
    ]
    report = build_report(ReportInputs(fills=pd.DataFrame(rows)))
    assert report.trades_sentence == (
        "1 closing trade against average cost: 100.00 % won, without a loss, "
        "78.00 after 2.00 of fees."
    )
    strange = pd.DataFrame(rows).assign(side="swap")
    assert "the side swap" in build_report(ReportInputs(fills=strange)).trades_sentence


def test_trades_come_newest_first_with_the_command_that_explains_them(inputs, report):
    """Copying the last column into a shell is all it takes."""
    days = pd.to_datetime(report.trades.rows["session"])
    assert days.is_monotonic_decreasing
    newest = inputs.fills.sort_values("session").iloc[-1]
    assert report.trades.rows["why"].iloc[0] == f"pmx why {newest['decision_id']}"
    assert report.next_commands[0].command == f"pmx why {newest['decision_id']}"


def test_an_id_that_is_not_an_id_cannot_smuggle_a_second_command():
    """The page invites to paste into a shell, so whatever stands there is quoted."""
    fills = pd.DataFrame([dict.fromkeys(COLUMNS["fills"], 1)]).assign(
        decision_id="x; rm -rf ~", session=dt.date(2022, 1, 3), symbol="A", side="buy"
    )
    report = build_report(ReportInputs(fills=fills))
    assert report.trades.rows["why"].iloc[0] == "pmx why 'x; rm -rf ~'"


def test_refusals_are_counted_by_gate_and_explained(inputs, report):
    """Every refusal is in exactly one bar, and the bar has words."""
    assert report.refusals_by_gate["count"].sum() == len(inputs.refusals)
    assert report.refusals_by_gate["count"].is_monotonic_decreasing
    assert "does not pay for the round trip" in gate_words("cost_gate")
    assert gate_words("moon_phase") == "Moon phase"
    assert gate_words(None) == "Unnamed gate"


def test_a_long_history_is_cut_and_says_so(inputs):
    """The page stays small; the total is kept to be told."""
    many = pd.concat([inputs.refusals] * 20, ignore_index=True)
    table = build_report(ReportInputs(refusals=many)).refusals
    assert (len(table.rows), table.total) == (ROWS_MAX, len(many))


def test_a_frame_without_its_columns_is_refused_by_name():
    """The one who hands it over learns which frame and which column."""
    broken = empty_frame("fills").drop(columns=["fee"])
    with pytest.raises(DataError, match="'fills' lacks the columns fee"):
        ReportInputs(fills=broken)


def test_a_model_is_better_than_naive_only_when_its_error_is_smaller():
    """Equal is not better, and unknown is unknown."""
    rows = [
        dict.fromkeys(COLUMNS["scores"], 1.0) | {"model": name, "rmse": rmse, "naive_rmse": 0.02}
        for name, rmse in (("good", 0.01), ("same", 0.02), ("lost", float("nan")))
    ]
    table = build_report(ReportInputs(scores=pd.DataFrame(rows))).scores
    assert table.rows["against"].tolist() == ["better", "the same", "unknown"]


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (Decimal("1234567.895"), Kind.MONEY, "1,234,567.90"),
        (-0.001, Kind.MONEY, "0.00"),
        (0.0312, Kind.SIGNED_PERCENT, "+3.12 %"),
        (float("nan"), Kind.MONEY, "–"),
        (None, Kind.TEXT, "–"),
        (pd.NaT, Kind.DATE, "–"),
        (Decimal("10.50000000"), Kind.QUANTITY, "10.5"),
        (100.0, Kind.QUANTITY, "100"),
        (0.00123456, Kind.PRICE, "0.001235"),
        (pd.Timestamp("2022-12-28", tz="UTC"), Kind.DATE, "2022-12-28"),
        (False, Kind.VERDICT, "refused"),
        ("two\nlines\x00\u202e", Kind.TEXT, "two lines"),
    ],
)
def test_values_are_written_as_a_reader_expects(value, kind, said):
    """Missing is a dash, zero has no sign, control characters are gone."""
    assert written(value, kind) == said


def test_every_gate_of_the_flow_has_plain_words():
    """A gate's name is for code; a reader must never meet one that was only tidied up."""
    gates = ["verdict", "edge", "forecast", "data_quality", "no_change", "nothing_held"]
    gates += ["symbol_taken", "quantity_step", "window", "mode", "unknown", "min_notional"]
    gates += ["short", "cash"]
    plain = [gate_words(gate) for gate in gates]
    assert len(set(plain)) == len(gates)
    assert [gate for gate in gates if gate not in GATE_WORDS] == []
    # A bar's label on a phone has room for this much.
    assert [words for words in plain if len(words) > 40] == []


def test_a_short_curve_says_what_must_not_be_read_from_it():
    """Annual figures from a few sessions look like skill; the page says that they are not."""
    short = build_report(book_inputs(60)).caution
    assert short.startswith("60 sessions are too few")
    assert build_report(book_inputs(300)).caution == ""


def test_what_the_night_knows_about_its_prices_stands_beside_the_curve():
    """Survivorship is a fact about the data that only whoever loads it can know."""
    inputs = replace(book_inputs(300), facts={"caution": "These companies survived."})
    assert build_report(inputs).caution == "These companies survived."


def test_the_record_against_the_best_single_model_is_one_sentence():
    """Against GARCH 0.56 % larger, against naive drift smaller: GARCH is the best single model."""
    rows = pd.DataFrame(
        {
            "model": ["garch", "naive", "garch"],
            "horizon_days": [1, 1, 5],
            "rmse": [0.0180, 0.0190, 0.0100],
            "combined_rmse": [0.0181, 0.0181, 0.0400],
            "count": [1200, 1200, 1180],
        }
    )
    assert record_sentence(rows, limit=0.10) == (
        "On record, over 1,200 one-day forecasts, the combined error is 0.56 % larger than that of "
        "the best single model, garch; the audit allows 10.00 %."
    )
    assert record_sentence(rows.iloc[:0], limit=0.10) == ""


def test_a_combined_forecast_that_is_worse_than_the_limit_is_called_a_violation():
    """A fifth worse than GARCH; the page says so where it shows the scores."""
    rows = pd.DataFrame(
        {
            "model": ["garch"],
            "horizon_days": [1],
            "rmse": [0.010],
            "combined_rmse": [0.012],
            "count": [1],
        }
    )
    report = build_report(ReportInputs(rivals=rows, facts={"rmse_excess_max_fraction": 0.1}))
    assert report.record_sentence == (
        "On record, over 1 one-day forecast, the combined error is 20.00 % larger than that of the "
        "best single model, garch: a violation, since the audit allows 10.00 %."
    )


def test_what_became_of_refusals_is_told_gate_by_gate():
    """In plain words; without a horizon that has passed it says so."""
    outcomes = pd.DataFrame(
        [{"gate": "edge", "judged": 30, "right_share": 7 / 30, "mean_forgone_return": 0.0385}]
    )
    table = build_report(ReportInputs(outcomes=outcomes)).outcomes
    assert table.rows["words"].tolist() == ["Too little gain is expected"]
    assert [column.label for column in table.columns] == [
        "Gate",
        "Judged",
        "Spared a loss",
        "Forgone",
    ]
    nothing = build_report(ReportInputs()).outcomes
    assert (len(nothing.rows), nothing.empty) == (0, "No horizon of a refusal has passed yet.")
