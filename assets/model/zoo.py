"""Models by name, built with the desk's policy."""

from typing import TYPE_CHECKING

from resources.desk import Desk

if TYPE_CHECKING:
    from quant.forecasting.port import Forecaster

MODELS = ("naive", "persistence", "sarimax", "garch", "samossa", "mssa_rl")
# Models whose parameters are estimated in `model/<name>_fits`; the others have nothing to keep.
FITTED = ("sarimax", "garch", "samossa", "mssa_rl")
# Persistence exists to be judged, and is never part of a decision.
ENSEMBLED = tuple(model for model in MODELS if model != "persistence")


def build_model(desk: Desk, name: str) -> "Forecaster":
    """The forecaster called `name`."""
    from quant.forecasting.garch import GarchForecaster
    from quant.forecasting.mssa_rl import MssaRlForecaster
    from quant.forecasting.naive import NaiveForecaster
    from quant.forecasting.persistence import PersistenceForecaster
    from quant.forecasting.policy import ForecastPolicy
    from quant.forecasting.samossa import SamossaForecaster
    from quant.forecasting.sarimax import SarimaxForecaster
    from quant.forecasting.ssa_policy import MssaRlPolicy, SsaPolicy

    # Where fits run, and on how many processes, is a fact of the machine and changes no result.
    machine: dict[str, object] = {"fit_workers": desk.settings.workers}
    if desk.settings.fit_backend is not None:
        machine["fit_backend"] = desk.settings.fit_backend
    policy = desk.policy("forecasts", ForecastPolicy).model_copy(update=machine)
    if name == "samossa":
        return SamossaForecaster(policy=policy, ssa=desk.policy("samossa", SsaPolicy))
    if name == "mssa_rl":
        return MssaRlForecaster(policy=policy, mssa=desk.policy("mssa_rl", MssaRlPolicy))
    kinds = {
        "naive": NaiveForecaster,
        "persistence": PersistenceForecaster,
        "sarimax": SarimaxForecaster,
        "garch": GarchForecaster,
    }
    return kinds[name](policy=policy)
