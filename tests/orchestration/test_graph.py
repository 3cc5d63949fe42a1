"""The graph and its vocabulary, so that a rename shows up in a review."""

import dagster as dg
import pytest

from assets.partitions import trading_days
from dagster_project.definitions import ASSET_MODULES, build_defs

ASSETS = [
    "audit/closed_trades",
    "audit/cost_estimates",
    "audit/counterfactuals",
    "audit/decisions",
    "audit/forecast_scores",
    "audit/model_audits",
    "audit/nights",
    "audit/report",
    "clean/daily_bars",
    "feature/daily_features",
    "forecast/combined",
    "forecast/garch",
    "forecast/mssa_rl",
    "forecast/naive",
    "forecast/persistence",
    "forecast/samossa",
    "forecast/sarimax",
    "model/garch_fits",
    "model/mssa_rl_fits",
    "model/samossa_fits",
    "model/sarimax_fits",
    "model/verdicts",
    "order/exits",
    "order/fills",
    "order/intents",
    "order/refusals",
    "raw/corporate_actions",
    "raw/daily_bars",
    "raw/news",
    "signal/daily_signals",
    "signal/llm_answers",
    "signal/model_flags",
    "target/daily_weights",
]

CHECKS = [
    "audit/closed_trades: attribution_is_complete",
    "audit/closed_trades: attribution_is_the_books_result",
    "audit/nights: signals_are_trades_and_refusals",
    "clean/daily_bars: no_critical_finding",
    "clean/daily_bars: quality_allows_trading",
    "feature/daily_features: every_symbol_has_features",
    "feature/daily_features: expectations_hold",
    "forecast/combined: every_symbol_is_forecast",
    "forecast/combined: expectations_hold",
    "forecast/garch: every_symbol_is_forecast",
    "forecast/garch: expectations_hold",
    "forecast/mssa_rl: every_symbol_is_forecast",
    "forecast/mssa_rl: expectations_hold",
    "forecast/naive: every_symbol_is_forecast",
    "forecast/naive: expectations_hold",
    "forecast/persistence: every_symbol_is_forecast",
    "forecast/persistence: expectations_hold",
    "forecast/samossa: every_symbol_is_forecast",
    "forecast/samossa: expectations_hold",
    "forecast/sarimax: every_symbol_is_forecast",
    "forecast/sarimax: expectations_hold",
    "model/garch_fits: every_fit_is_usable",
    "model/mssa_rl_fits: every_fit_is_usable",
    "model/samossa_fits: every_fit_is_usable",
    "model/sarimax_fits: every_fit_is_usable",
    "model/verdicts: every_model_has_a_verdict",
    "order/fills: expectations_hold",
    "order/intents: every_signal_ends",
    "raw/daily_bars: sources_answered",
    "raw/news: files_are_read",
    "signal/daily_signals: every_symbol_has_a_signal",
    "signal/daily_signals: expectations_hold",
    "target/daily_weights: expectations_hold",
    "target/daily_weights: weights_are_within_caps",
]

STAGES = ["raw", "clean", "feature", "model", "forecast", "signal", "target", "order", "audit"]
BOOK = {
    "order/intents",
    "order/refusals",
    "order/exits",
    "order/fills",
    "audit/nights",
}
OUTCOMES = {"audit/closed_trades", "audit/cost_estimates", "audit/counterfactuals"}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs()


def names(keys: object) -> list[str]:
    return sorted(key.to_user_string() for key in keys)  # type: ignore[attr-defined]


def test_the_code_location_loads(definitions: dg.Definitions) -> None:
    """What the web server and the daemon do first."""
    dg.Definitions.validate_loadable(definitions)


def test_the_asset_graph_is_the_one_we_reviewed(definitions: dg.Definitions) -> None:
    """Change these lists in the same commit that changes the graph."""
    graph = definitions.resolve_asset_graph()
    checks = (f"{key.asset_key.to_user_string()}: {key.name}" for key in graph.asset_check_keys)
    assert names(graph.get_all_asset_keys()) == ASSETS
    assert sorted(checks) == CHECKS


def test_jobs_schedules_and_sensors_are_the_ones_we_reviewed(definitions: dg.Definitions) -> None:
    location = definitions.get_repository_def()
    jobs = {job.name for job in location.get_all_jobs() if not job.name.startswith("__")}
    assert jobs == {
        "backfill",
        "collect",
        "decide",
        "nightly",
        "outcomes",
        "report",
        "research",
        "trading",
    }
    assert [schedule.name for schedule in location.schedule_defs] == ["nightly_schedule"]
    assert {sensor.name for sensor in location.sensor_defs} == {
        "audit_sensor",
        "demotion_sensor",
        "failed_run_sensor",
        "promotion_sensor",
        "stale_night_sensor",
    }


def test_nothing_starts_by_itself(definitions: dg.Definitions) -> None:
    """A person switches schedules and sensors on; a fresh installation does nothing at night."""
    location = definitions.get_repository_def()
    started = [
        one.name
        for one in (*location.schedule_defs, *location.sensor_defs)
        if one.default_status.value != "STOPPED"
    ]
    assert started == []


def test_folder_group_and_key_prefix_are_one_word() -> None:
    """The stage is spelled the same in the tree, in the web pages and in the warehouse."""
    for module in ASSET_MODULES:
        stage = module.__name__.split(".")[1]
        for asset in dg.load_assets_from_modules([module]):
            for spec in asset.specs:  # type: ignore[union-attr]
                assert spec.key.path[0] == spec.group_name == stage in STAGES
                assert spec.tags["stage"] == stage


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_says_what_it_is_whose_it_is_and_how_it_runs(
    definitions: dg.Definitions, name: str
) -> None:
    """What a person sees who opens it in the web pages, and what a backfill relies on."""
    node = definitions.resolve_asset_graph().get(dg.AssetKey(name.split("/")))
    assert node.description
    assert node.description.endswith(".")
    assert node.owners == ["team:research"]
    assert node.kinds == {"duckdb", "python"}
    assert len(str(node.code_version)) == 16
    assert node.partitions_def == trading_days
    assert node.backfill_policy == dg.BackfillPolicy.single_run()


def test_each_stage_reads_only_earlier_ones(definitions: dg.Definitions) -> None:
    """The flow has one direction: what is decided never feeds what is forecast."""
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        stage = STAGES.index(key.path[0])
        assert all(STAGES.index(parent.path[0]) <= stage for parent in graph.get(key).parent_keys)


def test_jobs_split_the_graph_between_data_and_book(definitions: dg.Definitions) -> None:
    """A backfill touches nothing that depends on the book, and a night is its two halves."""

    def selected(job: str) -> set[str]:
        return set(names(definitions.resolve_job_def(job).asset_layer.selected_asset_keys))

    assert selected("trading") == BOOK
    assert selected("outcomes") == OUTCOMES
    assert selected("backfill") == set(ASSETS) - BOOK - OUTCOMES - {"audit/report"}
    assert selected("collect") | selected("decide") == selected("nightly") == set(ASSETS)
    assert not selected("collect") & selected("decide")
