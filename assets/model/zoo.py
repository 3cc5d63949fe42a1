"""Models by name, built with the desk's policy."""

from typing import TYPE_CHECKING

from resources.desk import Desk

if TYPE_CHECKING:
    from quant.forecasting.port import Forecaster

MODELS = ("naive", "persistence", "sarimax", "garch")
# Models whose parameters are estimated in `model/<name>_fits`; the others have nothing to keep.
FITTED = ("sarimax", "garch")
# Persistence exists to be judged, and is never part of a decision.
ENSEMBLED = tuple(model for model in MODELS if model != "persistence")


def build_model(desk: Desk, name: str) -> "Forecaster":
    """The forecaster called `name`."""
    from quant.forecasting.garch import GarchForecaster
    from quant.forecasting.naive import NaiveForecaster
    from quant.forecasting.persistence import PersistenceForecaster
    from quant.forecasting.policy import ForecastPolicy
    from quant.forecasting.sarimax import SarimaxForecaster

    # Where fits run, and on how many processes, is a fact of the machine and changes no result.
    machine: dict[str, object] = {"fit_workers": desk.settings.workers}
    if desk.settings.fit_backend is not None:
        machine["fit_backend"] = desk.settings.fit_backend
    policy = desk.policy("forecasts", ForecastPolicy).model_copy(update=machine)
    kinds = {
        "naive": NaiveForecaster,
        "persistence": PersistenceForecaster,
        "sarimax": SarimaxForecaster,
        "garch": GarchForecaster,
    }
    return kinds[name](policy=policy)
