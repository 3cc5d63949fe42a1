"""How accurate the models are: every model of the zoo, the ensemble, and statsforecast's.

`python -m benchmarks.accuracy` goes through the twenty bundled stocks, 2010 to 2022, and the
bundled bitcoin prices, from an origin every few weeks, and writes docs/accuracy.md. What a model
said is kept in a folder, in pieces, so that a run that was stopped goes on where it was, and one
after a change of our code computes only ours again. `pmx bench accuracy` is the short form: few
symbols, few origins, no rivals, no page.
"""

import argparse
import datetime as dt
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assets.model.zoo import ENSEMBLED, MODELS, build_model
from benchmarks._accuracy_page import write_page
from benchmarks._statsforecast import RIVALS, rival_forecasts
from quant.core.identity import content_hash
from quant.forecasting.accuracy_table import accuracy_table
from quant.forecasting.combine import COMBINED
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.rolling import Rolled, combine_origins, roll_origins
from quant.forecasting.scoring import realise, score
from quant.market.panel import BarPanel
from resources.code_versions import code_version
from resources.desk import Desk
from resources.settings import Settings, project_root

HORIZONS_DAYS = (1, 5, 20)
# The line that the ensemble has to pass: a smaller pinball loss than naive drift's, pooled.
ACCEPTED_HORIZONS_DAYS = (1, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One set of series, and after which of their sessions the models speak."""

    name: str
    file: str
    close: str
    start: dt.date
    end: dt.date
    every_sessions: int
    symbols: tuple[str, ...] = ()
    # Where the file begins too late for a whole window before `start`.
    returns_before_min: int = 252

    def bars(self) -> BarPanel:
        """Closes up to `end`; outcomes of the last origins included."""
        rows = pd.read_parquet(project_root() / "data/sample" / self.file)
        rows = rows.assign(close=rows[self.close], session=rows["date"], open=np.nan, high=np.nan)
        rows = rows.assign(low=np.nan, volume=np.nan)
        if "symbol" not in rows:
            rows["symbol"] = self.name
        if self.symbols:
            rows = rows[rows["symbol"].isin(self.symbols)]
        days = np.unique(rows["session"].to_numpy().astype("datetime64[D]"))
        return BarPanel.from_long(rows, sessions=days[days <= np.datetime64(self.end, "D")])

    def origins(self, panel: ReturnPanel) -> list[int]:
        """Positions of the sessions after which forecasts are made; the longest horizon fits in."""
        first = int(np.searchsorted(panel.sessions, np.datetime64(self.start, "D")))
        first = max(first, self.returns_before_min)
        last = len(panel.sessions) - max(HORIZONS_DAYS)
        return list(range(first, last, self.every_sessions))

    def overlaps(self) -> dict[int, int]:
        """How many origins' forecasts look at a common day."""
        return {days: math.ceil(days / self.every_sessions) for days in HORIZONS_DAYS}


STOCKS = Sample(
    name="twenty US stocks",
    file="us_equity_adjclose_daily.parquet",
    close="adj_close",
    start=dt.date(2010, 1, 4),
    end=dt.date(2022, 12, 28),
    # No multiple of five, so that origins fall on every day of the week.
    every_sessions=26,
)
BITCOIN = Sample(
    name="bitcoin",
    file="crypto_btcusd_daily.parquet",
    close="close",
    # The bundled prices begin on 2020-01-01; a year of them is needed before the first forecast.
    start=dt.date(2018, 1, 1),
    end=dt.date(2021, 10, 27),
    every_sessions=7,
)
FULL = (STOCKS, BITCOIN)
SHORT = (
    replace(
        STOCKS,
        name="five US stocks",
        symbols=("AAPL", "GE", "JNJ", "JPM", "XOM"),
        start=dt.date(2019, 1, 2),
        every_sessions=126,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is compared, where its pieces are kept, and how it is computed."""

    samples: tuple[Sample, ...]
    folder: Path
    desk: Desk
    models: tuple[str, ...] = MODELS
    rivals: tuple[str, ...] = RIVALS
    # Origins in one piece: about a year, so that a stopped run loses little.
    block_origins: int = 12
    say: Callable[[str], None] = field(default=lambda _: None)

    @property
    def policy(self) -> ForecastPolicy:
        """As shipped."""
        return self.desk.policy("forecasts", ForecastPolicy)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """What came out for one sample."""

    sample: Sample
    table: pd.DataFrame
    weights: pd.DataFrame
    first_session: dt.date
    last_session: dt.date
    origins: int
    failures: dict[str, int]


def run(*, folder: Path | None = None) -> list[dict[str, Any]]:
    """The short form, as ratios of the ensemble's pinball loss to naive drift's."""
    desk = Desk(Settings.from_env())
    study = Study(
        samples=SHORT, folder=folder or desk.settings.home / "accuracy", desk=desk, rivals=()
    )
    return [row for findings in investigate(study) for row in acceptance(findings)]


def investigate(study: Study) -> list[Findings]:
    """Every sample: the models, the rivals, the ensemble, the table."""
    return [_investigate_one(study, sample) for sample in study.samples]


def acceptance(findings: Findings) -> list[dict[str, Any]]:
    """One row a horizon that counts: does the ensemble beat naive drift?"""
    table = findings.table.set_index(["model", "horizon_days"])
    return [
        {
            "name": f"accuracy_pinball_{days}d",
            "ratio": round(float(table.loc[(COMBINED, days), "pinball_ratio"]), 4),
            "limit": 1.0,
            "forecasts": int(table.loc[(COMBINED, days), "count"]),
        }
        for days in ACCEPTED_HORIZONS_DAYS
    ]


def _investigate_one(study: Study, sample: Sample) -> Findings:
    bars = sample.bars()
    panel = ReturnPanel.from_bars(bars)
    origins = sample.origins(panel)
    rolled = {name: _rolled(study, sample, panel, origins, name) for name in study.models}
    parts = {name: one for name, one in rolled.items() if name in ENSEMBLED}
    combined, weights = combine_origins(
        parts, panel, origins=origins, policy=study.policy, as_of=as_of
    )
    forecasts = {name: one.forecasts for name, one in rolled.items()} | {COMBINED: combined}
    failures = {name: one.failures for name, one in rolled.items()}
    for name in study.rivals:
        forecasts[name], failures[name] = _rival(study, sample, panel, origins, name)
    everything = pd.concat(forecasts.values(), ignore_index=True)
    scores = score(everything, realise(everything, bars))
    return Findings(
        sample=sample,
        table=accuracy_table(scores, overlaps=sample.overlaps()),
        weights=weights,
        first_session=panel.sessions[origins[0]].item(),
        last_session=panel.sessions[origins[-1]].item(),
        origins=len(origins),
        failures=failures,
    )


def as_of(session: dt.date) -> dt.datetime:
    """A moment after the close; nothing here depends on which."""
    return dt.datetime.combine(session, dt.time(22), tzinfo=dt.UTC)


def _rolled(
    study: Study, sample: Sample, panel: ReturnPanel, origins: Sequence[int], name: str
) -> Rolled:
    """One of our models, piece by piece; a piece that is there is not computed again."""
    model = build_model(study.desk, name)
    key = {"policy": study.policy.model_dump(mode="json"), "code": code_version("forecast")}

    def compute(block: list[int], until: int) -> dict[str, Any]:
        one = roll_origins(
            model, panel, origins=block, until=until, horizons=HORIZONS_DAYS, as_of=as_of
        )
        return {"forecasts": one.forecasts, "losses": one.losses, "failures": one.failures}

    pieces = list(_pieces(study, sample, panel, origins, name, key, compute))
    losses = [piece["losses"] for piece in pieces if len(piece["losses"])]
    return Rolled(
        forecasts=pd.concat([piece["forecasts"] for piece in pieces], ignore_index=True),
        losses=pd.concat(losses or [pieces[0]["losses"]], ignore_index=True),
        failures=sum(piece["failures"] for piece in pieces),
    )


def _rival(
    study: Study, sample: Sample, panel: ReturnPanel, origins: Sequence[int], name: str
) -> tuple[pd.DataFrame, int]:
    window = study.policy.fit_window_sessions
    key = {"window": window, "statsforecast": version("statsforecast")}

    def compute(block: list[int], until: int) -> dict[str, Any]:
        del until
        frame, failures = rival_forecasts(
            name,
            panel,
            origins=block,
            window=window,
            horizons=HORIZONS_DAYS,
            as_of=as_of,
            workers=study.desk.settings.workers,
        )
        return {"forecasts": frame, "failures": failures}

    pieces = list(_pieces(study, sample, panel, origins, name, key, compute))
    frames = [piece["forecasts"] for piece in pieces]
    return pd.concat(frames, ignore_index=True), sum(piece["failures"] for piece in pieces)


def _pieces(
    study: Study,
    sample: Sample,
    panel: ReturnPanel,
    origins: Sequence[int],
    name: str,
    key: dict[str, Any],
    compute: Callable[[list[int], int], dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    data = [panel.symbols, hashlib.sha256(panel.values.tobytes()).hexdigest()]
    for begin in range(0, len(origins), study.block_origins):
        block = list(origins[begin : begin + study.block_origins])
        until = origins[min(begin + study.block_origins, len(origins) - 1)]
        mark = content_hash({"name": name, "data": data, "block": block, "until": until, **key})
        path = study.folder / f"{name}-{mark[:16]}"
        if not (path / "done.json").exists():
            started = time.monotonic()
            _keep(path, compute(block, until))
            day = panel.sessions[block[0]].item()
            spent = time.monotonic() - started
            study.say(f"{sample.name}, {name}, from {day}: {len(block)} origins in {spent:.1f} s")
        yield _kept(path)


def _keep(path: Path, piece: dict[str, Any]) -> None:
    """Frames as Parquet; the note that all is there comes last."""
    path.mkdir(parents=True, exist_ok=True)
    for name, value in piece.items():
        if isinstance(value, pd.DataFrame):
            value.to_parquet(path / f"{name}.parquet")
    plain = {name: value for name, value in piece.items() if not isinstance(value, pd.DataFrame)}
    (path / "done.json").write_text(json.dumps(plain), encoding="utf-8")


def _kept(path: Path) -> dict[str, Any]:
    piece: dict[str, Any] = json.loads((path / "done.json").read_text(encoding="utf-8"))
    return piece | {file.stem: pd.read_parquet(file) for file in path.glob("*.parquet")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study and write the page; 1 when the ensemble does not beat naive drift."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--short", action="store_true", help="five stocks, a few origins, seconds")
    parser.add_argument("--every", type=int, help="sessions between two origins of the stocks")
    parser.add_argument(
        "--folder", type=Path, help="where pieces are kept; default: under PMX_HOME"
    )
    parser.add_argument("--page", type=Path, default=project_root() / "docs/accuracy.md")
    chosen = parser.parse_args(arguments)
    desk = Desk(Settings.from_env())
    samples = SHORT if chosen.short else FULL
    if chosen.every:
        samples = (replace(samples[0], every_sessions=chosen.every), *samples[1:])
    study = Study(
        samples=samples,
        folder=chosen.folder or desk.settings.home / "accuracy",
        desk=desk,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    findings = investigate(study)
    today = dt.datetime.now(dt.UTC).date()
    write_page(chosen.page, findings, policy=study.policy, today=today)
    print(f"written: {chosen.page}")
    lines = [row for one in findings[:1] for row in acceptance(one)]
    for row in lines:
        holds = "holds" if row["ratio"] < row["limit"] else "does not hold"
        print(f"{row['name']}: {row['ratio']} of naive drift's, limit {row['limit']}: {holds}")
    return 0 if all(row["ratio"] < row["limit"] for row in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
