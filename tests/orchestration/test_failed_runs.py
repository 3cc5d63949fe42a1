"""What a command says when a run of its did not succeed."""

import os
import signal
import time

import dagster as dg

from apps.night import QUIET_CONSOLE, failed_run
from quant.core.errors import StateError


@dg.op
def wait_for_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)


@dg.op
def break_down() -> None:
    raise ValueError("the source sent nonsense")


@dg.job
def interrupted() -> None:
    wait_for_ctrl_c()


@dg.job
def broken() -> None:
    break_down()


def outcome(job: dg.JobDefinition) -> BaseException:
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance, raise_on_error=False, run_config=QUIET_CONSOLE
        )
        return failed_run("nightly", result)


def test_ctrl_c_in_a_step_stays_an_interruption() -> None:
    """Dagster calls it a failed step; a person who pressed it must not be told to mend a cause."""
    assert isinstance(outcome(interrupted), KeyboardInterrupt)


def test_a_failed_step_is_named_with_its_first_cause() -> None:
    error = outcome(broken)
    assert isinstance(error, StateError)
    assert "nightly failed in break_down: ValueError: the source sent nonsense" in str(error)
    assert "pmx up" in error.remedy
