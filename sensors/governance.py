"""What reacts to finished audits: promotion, demotion, and the count of audits.

Belongs here: when to look, and telling each time what was found. Does not belong here: what to look
at (`assets/watching.py`), any rule (`quant.governance`), what an act writes
(`assets/governing.py`). Starting a sensor again, or a backfill, promotes nobody: the acts need
certificates, and the journal knows what was done.
"""

import dagster as dg

from quant.core.errors import PmxError

WATCHED = dg.AssetKey(["audit", "decisions"])


@dg.sensor(
    minimum_interval_seconds=3600,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Certifies models whose record is long enough and promotes the best of them.",
)
def promotion_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Once a newly audited session; says why nobody was promoted."""
    from assets.watching import look_for_promotion

    return _tick(context, look_for_promotion)


@dg.sensor(
    minimum_interval_seconds=1800,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Demotes a champion whose coverage or error left its limits, and reverts.",
)
def demotion_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Once a newly audited session; says how the champion stands."""
    from assets.watching import look_for_demotion

    return _tick(context, look_for_demotion)


@dg.sensor(
    minimum_interval_seconds=1800,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Says how many audits each model has, and what the gate makes of them.",
)
def audit_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Looks only: decisions are made by the nightly, acts by the other sensors."""
    done = _newest(context)
    if done == context.cursor:
        return dg.SkipReason(f"no session was audited since {done or 'the beginning'}")
    from resources.desk import Desk

    with Desk.from_env() as desk:
        rows = desk.warehouse.rows(
            "SELECT model, decision, effective_audits FROM audit.decisions "
            "WHERE session = (SELECT max(session) FROM audit.decisions) ORDER BY model"
        )
    context.update_cursor(done)
    said = "; ".join(f"{model}: {decision}, {count} audits" for model, decision, count in rows)
    return dg.SkipReason(f"audited to {done}: {said or 'no decision was stored'}")


def _tick(context: dg.SensorEvaluationContext, look: object) -> dg.SkipReason:
    """Look when a session was audited since the last tick; a trouble is told and tried again."""
    from resources.desk import Desk

    done = _newest(context)
    if not done or done == context.cursor:
        return dg.SkipReason(f"no session was audited since {done or 'the beginning'}")
    try:
        with Desk.from_env() as desk:
            acted = look(desk)  # type: ignore[operator]
    except PmxError as error:
        # The cursor stays, so the next tick tries again; nothing was promoted or demoted.
        context.log.error(f"{error}; {error.remedy}")
        return dg.SkipReason(f"nothing was changed: {error}")
    context.update_cursor(done)
    if acted.registry_problem:
        context.log.error(acted.registry_problem)
    if acted.is_change:
        context.log.warning(acted.reason)
        return dg.SkipReason(f"done: {acted.model or 'nobody'} {acted.role}: {acted.reason}")
    return dg.SkipReason(f"nothing to do: {acted.reason}")


def _newest(context: dg.SensorEvaluationContext) -> str:
    """The newest session whose audits are materialised."""
    return max(context.instance.get_materialized_partitions(WATCHED), default="")
