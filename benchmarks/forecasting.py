"""Models against other people's implementations of them, and a night of all models together."""

from benchmarks import _forecasting_models, _forecasting_night, _forecasting_ssa


def run() -> list[dict[str, object]]:
    """The rows of all parts; each says in its notes what both sides did."""
    return [
        *_forecasting_models.rows(),
        *_forecasting_ssa.rows(),
        *_forecasting_night.rows(),
    ]
