"""One night's forecasts of a generated market: what a symbol costs, and how that grows.

Two paths. On most nights parameters are kept and every model runs its filter over the returns
known by then (`update`); on one night in five every model is fitted again, from the parameters it
had (`refit`). Each is timed for 100 and for 500 symbols of the same market, on one core, without
reading or writing anything. The figure with a limit is the growth exponent: 1 is work that grows
as the number of symbols does.
"""

import datetime as dt
import math
import time
from collections.abc import Callable, Mapping, Sequence

from quant.core.compute import single_threaded
from quant.forecasting.combine import combine
from quant.forecasting.forecast import ForecastBatch
from quant.forecasting.garch import GarchForecaster
from quant.forecasting.mssa_rl import MssaRlForecaster
from quant.forecasting.naive import NaiveForecaster
from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import FittedState, Forecaster, start_params
from quant.forecasting.returns import ReturnPanel
from quant.forecasting.samossa import SamossaForecaster
from quant.forecasting.sarimax import SarimaxForecaster
from quant.market.calendars import sessions
from quant.market.panel import BarPanel
from quant.market.synthetic import SyntheticPolicy, generate

SMALL, LARGE = 100, 500
SESSIONS = 1000
LIMIT_EXPONENT = 1.05
REPETITIONS = 3
SEED = 7

Fits = Mapping[str, Sequence[FittedState]]


def rows(
    *, small: int = SMALL, large: int = LARGE, sessions_count: int = SESSIONS
) -> list[dict[str, object]]:
    """The growth of both paths, with the symbols that one core forecasts in a second."""
    market = _market(large, sessions_count)
    spent = {count: _night(market.rows(market.symbols[:count])) for count in (small, large)}
    return [_row(path, spent, small, large) for path in ("update", "refit")]


def _row(
    path: str, spent: Mapping[int, Mapping[str, Mapping[str, float]]], small: int, large: int
) -> dict[str, object]:
    total = {count: sum(spent[count][path].values()) for count in (small, large)}
    exponent = math.log(total[large] / total[small]) / math.log(large / small)
    return {
        "name": f"forecasting_night_{path}_growth",
        "ratio": round(exponent, 3),
        "limit": LIMIT_EXPONENT,
        "symbols_per_s_per_core": round(large / total[large], 1),
        "ms_per_symbol": {
            name: round(1000 * seconds / large, 3) for name, seconds in spent[large][path].items()
        },
    }


def _night(panel: ReturnPanel) -> dict[str, dict[str, float]]:
    """Seconds of each model and of their combination, by path."""
    models = _models()
    session = panel.sessions[-1].item()
    before = panel.sessions[-6].item()
    with single_threaded():
        fits = {name: model.fit(panel, session=before) for name, model in models.items()}
        starts = {name: start_params(states) for name, states in fits.items()}
        refit = {
            name: _fastest(
                lambda m=model, s=starts[name]: m.fit(panel, session=session, start=s),
                repetitions=1,
            )
            for name, model in models.items()
        }
        batches: dict[str, ForecastBatch] = {}

        def forecast(name: str) -> None:
            batches[name] = _forecast(models[name], fits[name], panel, session)

        update = {name: _fastest(lambda n=name: forecast(n)) for name in models}
        update["combined"] = _fastest(
            lambda: combine(batches, symbols=panel.symbols, session=session, as_of=_as_of(session))
        )
    return {"update": update, "refit": refit}


def _models() -> dict[str, Forecaster]:
    policy = ForecastPolicy(fit_workers=1)
    kinds = (
        NaiveForecaster,
        SarimaxForecaster,
        GarchForecaster,
        SamossaForecaster,
        MssaRlForecaster,
    )
    models = [kind(policy=policy) for kind in kinds]
    return {model.name: model for model in models}


def _forecast(
    model: Forecaster, states: Sequence[FittedState], panel: ReturnPanel, session: dt.date
) -> ForecastBatch:
    return model.forecast(
        states, panel, session=session, as_of=_as_of(session), horizons=(1, 5, 20)
    )


def _as_of(session: dt.date) -> dt.datetime:
    return dt.datetime.combine(session, dt.time(22), tzinfo=dt.UTC)


def _fastest(call: Callable[[], object], *, repetitions: int = REPETITIONS) -> float:
    """Processor time of the best of some runs: everything happens in this one process and thread,
    and what else the machine does only ever adds."""
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def _market(symbols: int, sessions_count: int) -> ReturnPanel:
    """Generated bars without defects, as returns; the same market for both sizes."""
    days = sessions("XNYS", dt.date(2012, 1, 3), dt.date(2022, 12, 28))[-sessions_count - 1 :]
    whole = SyntheticPolicy(late_listing_share=0, delisting_rate_annual=0)
    bars = generate(seed=SEED, symbols=symbols, days=days, policy=whole).bars
    names = tuple(sorted(bars["symbol"].unique()))
    return ReturnPanel.from_bars(BarPanel.from_long(bars, sessions=days, symbols=names))
