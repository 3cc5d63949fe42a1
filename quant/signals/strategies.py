"""Strategies: which forecast each one trades on, and whose verdicts it needs for that."""

from typing import Annotated

from pydantic import Field

from quant.core.policy import Policy

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class Strategy(Policy):
    """One strategy; all of its `models` need a passing verdict before it may trade."""

    name: Name
    forecast: Name
    models: Annotated[tuple[Name, ...], Field(min_length=1)]


class StrategiesPolicy(Policy):
    """All strategies of the nightly run, in the order in which they decide."""

    strategies: Annotated[tuple[Strategy, ...], Field(min_length=1)]
