"""A model fitted on a cluster has the parameters of a plain loop, to the last bit."""

import pytest

from quant.forecasting.policy import ForecastPolicy
from quant.forecasting.port import states_to_frame
from quant.forecasting.sarimax import SarimaxForecaster

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray.*"),
]


def test_a_fit_on_dask_is_the_fit_of_this_process(few):
    """Four stocks on two processes; states, diagnostics and texts compared as they are stored."""
    session = few.sessions[-1].item()

    def states(**machine):
        model = SarimaxForecaster(policy=ForecastPolicy(**machine))
        return states_to_frame(model.fit(few, session=session))

    assert states(fit_workers=2, fit_backend="dask").equals(states())


def test_a_policy_refuses_a_backend_that_does_not_exist():
    """With the words that name the right ones."""
    with pytest.raises(ValueError, match="there is no backend 'spark'; use one of sequential"):
        ForecastPolicy(fit_backend="spark")
