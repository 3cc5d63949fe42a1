"""A small book on the bundled prices, as the frames that a nightly report is made from.

Run it to look at the page: `python -m tests.support.report_book var/report.html`.
"""

import datetime as dt
import sys
from decimal import Decimal
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd

from quant.core.identity import content_hash
from quant.governance.report import build_report
from quant.governance.report_inputs import ReportInputs
from quant.portfolio.measures import equal_weight_buy_and_hold
from resources.report_page import write_report

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
CAPITAL = 100_000.0
FEE_BPS, SLIPPAGE_BPS = 1.5, 2.0


def closes(sessions: int = 120) -> pd.DataFrame:
    """The last sessions of the twenty bundled names, one column a name."""
    bars = pd.read_parquet(SAMPLE / "us_equity_adjclose_daily.parquet")
    wide = bars.pivot(index="date", columns="symbol", values="adj_close").sort_index()
    wide.index = pd.to_datetime(wide.index)
    return wide.tail(sessions).astype(float)


def book_inputs(sessions: int = 120) -> ReportInputs:
    """Buys eight names over the first sessions, holds them, and trims one every ten sessions."""
    prices = closes(sessions)
    fills = _fills(prices)
    equity, positions = _walk(prices, fills)
    return ReportInputs(
        equity=equity,
        fills=fills,
        closed=_closed(prices, fills),
        positions=positions,
        refusals=_refusals(prices),
        outcomes=pd.DataFrame(
            [{"gate": "edge", "judged": 30, "right_share": 0.7, "mean_forgone_return": -0.011}]
        ),
        signals=_signals(prices),
        scores=_scores(prices),
        regimes=_regimes(),
        rivals=_rivals(),
        weights=_weights(),
        pit=_pit(prices),
        verdicts=_verdicts(),
        audits=_audits(),
        findings=_findings(prices),
        facts={
            "book": "paper",
            "mode": "normal",
            "currency": "USD",
            "session": prices.index[-1].date(),
            "run_id": "3f6c2a8e-55d1-4a0e-9b1a-6d2c90f1b7e4",
            "snapshot_id": 412,
            "code_version": "9f71e4a",
            "data_start": "1990-01-02",
            "data_end": prices.index[-1].date(),
            "quality_score": 0.987,
            "universe": prices.shape[1],
        },
    )


def _decision(symbol: str, session: pd.Timestamp) -> str:
    return "d-" + content_hash([symbol, session.date()])


def _closed(prices: pd.DataFrame, fills: pd.DataFrame) -> pd.DataFrame:
    """Every sale closes a part of the first purchase of its name."""
    first = fills[fills["side"] == "buy"].drop_duplicates("symbol").set_index("symbol")
    days = list(prices.index.date)
    rows = []
    for sale in fills[fills["side"] == "sell"].itertuples():
        bought = first.loc[sale.symbol]
        paid = sale.quantity * Decimal(str(bought["price"]))
        rows.append(
            {
                "session": sale.session,
                "symbol": sale.symbol,
                "side": "long",
                "quantity": sale.quantity,
                "entry_session": bought["session"],
                "entry_price": bought["price"],
                "exit_price": sale.price,
                "reason": "REBALANCE",
                "sessions_held": days.index(sale.session) - days.index(bought["session"]),
                "spread": Decimal("0.50"),
                "slippage": sale.slippage,
                "impact": Decimal("0.25"),
                "fee": sale.fee,
                "dividends": Decimal(0),
                "net_result": (sale.notional - paid - sale.fee).quantize(Decimal("0.01")),
                "exit_decision_id": sale.decision_id,
            }
        )
    return pd.DataFrame(rows)


def _fills(prices: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for place, symbol in enumerate(prices.columns[:8]):
        rows.append(_fill(prices, symbol, place, "buy", CAPITAL * 0.1))
    for place in range(20, len(prices), 6):
        symbol = prices.columns[(place // 6) % 8]
        side = "sell" if (place // 6) % 2 else "buy"
        rows.append(_fill(prices, symbol, place, side, CAPITAL * 0.012))
    return pd.DataFrame(rows)


def _fill(prices: pd.DataFrame, symbol: str, place: int, side: str, amount: float) -> dict:
    session, price = prices.index[place], float(prices[symbol].iloc[place])
    quantity = max(1, int(amount / price))
    notional = Decimal(str(round(quantity * price, 2)))
    return {
        "fill_id": "f-" + content_hash([symbol, session.date(), side]),
        "decision_id": _decision(symbol, session),
        "session": session.date(),
        "symbol": symbol,
        "side": side,
        "quantity": Decimal(quantity),
        "price": round(price, 4),
        "fee": round(notional * Decimal(FEE_BPS) / 10_000, 2),
        "slippage": round(notional * Decimal(SLIPPAGE_BPS) / 10_000, 2),
        "notional": notional,
    }


def _walk(prices: pd.DataFrame, fills: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    sign = fills["side"].map({"buy": 1.0, "sell": -1.0})
    traded = fills.assign(
        shares=sign * fills["quantity"].astype(float),
        money=sign * fills["notional"].astype(float) + fills["fee"].astype(float),
        day=pd.to_datetime(fills["session"]),
    )
    held = traded.pivot_table(index="day", columns="symbol", values="shares", aggfunc="sum")
    held = held.reindex(index=prices.index, columns=prices.columns).fillna(0.0).cumsum()
    spent = traded.groupby("day")["money"].sum().reindex(prices.index).fillna(0.0).cumsum()
    value = (held * prices).sum(axis=1)
    cash = CAPITAL - spent
    equity = pd.DataFrame(
        {
            "session": prices.index.date,
            "equity": (cash + value).to_numpy(),
            "cash": cash.to_numpy(),
            "gross_exposure": (value / (cash + value)).to_numpy(),
            "benchmark": equal_weight_buy_and_hold(prices, capital=CAPITAL).to_numpy(),
        }
    )
    last, shares = prices.iloc[-1], held.iloc[-1]
    shares = shares[shares != 0]
    buys = traded[traded["side"] == "buy"].groupby("symbol")
    cost = buys["notional"].sum().astype(float) / buys["quantity"].sum().astype(float)
    positions = pd.DataFrame(
        {
            "symbol": shares.index,
            "quantity": shares.to_numpy(),
            "average_cost": cost[shares.index].to_numpy(),
            "price": last[shares.index].to_numpy(),
            "market_value": (shares * last[shares.index]).to_numpy(),
            "weight": (shares * last[shares.index]).to_numpy() / equity["equity"].iloc[-1],
            "unrealised": (shares * (last[shares.index] - cost[shares.index])).to_numpy(),
        }
    )
    return equity, positions


def _refusals(prices: pd.DataFrame) -> pd.DataFrame:
    momentum = prices.pct_change(5, fill_method=None)
    rows = []
    for place in range(10, len(prices), 2):
        symbol = prices.columns[place % prices.shape[1]]
        expected = float(momentum[symbol].iloc[place]) / 10
        gate, reason = _refused_by(expected)
        rows.append(
            {
                "decision_id": _decision(symbol, prices.index[place]),
                "session": prices.index[place].date(),
                "symbol": symbol,
                "gate": gate,
                "reason": reason,
                "expected_return": expected,
                "cost": 0.0014,
            }
        )
    return pd.DataFrame(rows)


def _refused_by(expected: float) -> tuple[str, str]:
    if expected < -0.001:
        return "long_only", f"expected {expected:.2%} a day, and the book may not sell short"
    if expected < 0.003:
        return (
            "edge",
            f"expected {expected * 1e4:.0f} bps is below the 30 bps that a trade must bring",
        )
    return "cost", f"expected {expected * 1e4:.0f} bps is below 1.25 x the round trip of 14 bps"


def _signals(prices: pd.DataFrame) -> pd.DataFrame:
    last = prices.index[-1]
    returns = prices.pct_change(fill_method=None)
    expected = returns.tail(60).mean()
    rows = [
        {
            "decision_id": _decision(symbol, last),
            "session": last.date(),
            "symbol": symbol,
            "action": "buy" if expected[symbol] > 0 else "hold",
            "expected_return": float(expected[symbol]),
            "volatility": float(returns[symbol].tail(60).std()),
            "confidence": 0.4 + 0.02 * place,
            "outcome": "hold" if expected[symbol] <= 0 else ("trade", "refused")[place % 2],
        }
        for place, symbol in enumerate(prices.columns[:9])
    ]
    return pd.DataFrame(rows)


def _scores(prices: pd.DataFrame) -> pd.DataFrame:
    returns = prices.pct_change(fill_method=None).dropna()
    naive = float(np.sqrt((returns**2).to_numpy().mean()))
    rows = []
    for model, span in (("sarimax", 10), ("garch", 40), ("naive_drift", 1000)):
        error = returns - returns.ewm(span=span).mean().shift().fillna(0.0)
        hit = np.sign(returns.ewm(span=span).mean().shift()) == np.sign(returns)
        rmse = float(np.sqrt((error**2).to_numpy().mean()))
        rows.append(
            {
                "model": model,
                "horizon_days": 1,
                "rmse": rmse,
                "naive_rmse": naive,
                "pinball": float(error.abs().to_numpy().mean()) * 0.3,
                "naive_pinball": float(returns.abs().to_numpy().mean()) * 0.3,
                "coverage_50": float((error.abs() < 0.6745 * returns.std()).to_numpy().mean()),
                "coverage_90": float((error.abs() < 1.645 * returns.std()).to_numpy().mean()),
                "directional_accuracy": float(hit.to_numpy().mean()),
                "count": error.size,
            }
        )
    return pd.DataFrame(rows)


def _regimes() -> pd.DataFrame:
    rows = [
        {
            "model": model,
            "regime": regime,
            "pinball": 0.004 * scale * better,
            "naive_pinball": 0.004 * scale,
            "coverage_90": 0.9 + (0.02 if regime == "calm" else -0.03),
            "count": 400,
        }
        for model, better in (("combined", 0.97), ("garch", 0.98))
        for regime, scale in (("calm", 0.7), ("normal", 1.0), ("wild", 1.9))
    ]
    return pd.DataFrame(rows)


def _rivals() -> pd.DataFrame:
    rows = [
        {
            "model": model,
            "horizon_days": horizon,
            "rmse": 0.0180 * horizon**0.5 * worse,
            "combined_rmse": 0.0181 * horizon**0.5,
            "count": 1200,
        }
        for model, worse in (("garch", 1.0), ("naive", 1.02))
        for horizon in (1, 5)
    ]
    return pd.DataFrame(rows)


def _weights() -> pd.DataFrame:
    rows = [
        ("mean", "naive", 0.62, 0.41, 0.77),
        ("mean", "sarimax", 0.38, 0.23, 0.59),
        ("volatility", "garch", 0.81, 0.64, 0.90),
        ("volatility", "naive", 0.19, 0.10, 0.36),
    ]
    return pd.DataFrame(rows, columns=["part", "model", "mean", "lowest", "highest"])


def _pit(prices: pd.DataFrame) -> pd.DataFrame:
    returns = prices.pct_change(fill_method=None).dropna()
    frames = []
    for model, span in (("garch", 20), ("sarimax", 60)):
        scaled = (returns / returns.ewm(span=span).std().shift()).stack().dropna()
        places = [NormalDist().cdf(value) for value in scaled]
        counts, edges = np.histogram(places, bins=10, range=(0, 1))
        frames.append(
            pd.DataFrame({"model": model, "bin": edges[:-1], "share": counts / counts.sum()})
        )
    return pd.concat(frames, ignore_index=True)


def _verdicts() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"model": "garch", "passed": True, "reason": "drawdown, VaR and history within limits"},
            {
                "model": "sarimax",
                "passed": False,
                "reason": "its error is 3 % above the naive forecast's, so it may not trade",
            },
        ]
    )


def _audits() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "decision": "INCONCLUSIVE",
                "violation_rate": 0.10,
                "effective_audits": 12,
                "reason": "fewer than 20 audits count so far",
                "session": dt.date(2022, 11, 30),
            },
            {
                "decision": "KEEP",
                "violation_rate": 0.15,
                "effective_audits": 40,
                "reason": "the ensemble is at most 10 % worse in 34 of 40 audits",
                "session": dt.date(2022, 12, 28),
            },
        ]
    )


def _findings(prices: pd.DataFrame) -> pd.DataFrame:
    moves = prices.pct_change(fill_method=None).stack()
    worst = moves[moves.abs() > 0.07]
    return pd.DataFrame(
        {
            "symbol": worst.index.get_level_values(1),
            "session": worst.index.get_level_values(0).date,
            "rule": "return_outlier",
            "severity": "warning",
            "value": worst.to_numpy(),
            "message": [f"moved {move:.1%} in one session" for move in worst],
        }
    )


if __name__ == "__main__":
    write_report(build_report(book_inputs()), Path(sys.argv[1]))
