"""Settings: read when asked, checked with clear errors, and never showing a credential."""

import pickle
from pathlib import Path

import pytest

from quant.core.errors import UsageError
from resources.settings import VARIABLES, Settings, mask_url, project_root


def test_an_empty_environment_gives_a_complete_machine_that_needs_no_server() -> None:
    """A newcomer sets nothing: state in var, policy from config, every store embedded."""
    settings = Settings.from_env({})

    assert settings.home == project_root() / "var"
    assert settings.config_dir == project_root() / "config"
    assert (settings.catalog_url, settings.lake_url, settings.ledger_url) == (None, None, None)
    assert settings.mlflow_url == f"sqlite:///{project_root()}/var/mlflow/mlflow.db"
    assert settings.book == "paper"
    assert settings.long_only is True
    assert 1 <= settings.workers <= 8


def test_everything_follows_home(tmp_path: Path) -> None:
    """Moving home moves every kind of state, and the option wins over the variable."""
    settings = Settings.from_env({"PMX_HOME": "/elsewhere"}, home=tmp_path)
    paths = settings.paths

    for place in (paths.lake, paths.ledger, paths.reports, paths.data_docs, paths.mlflow):
        assert place.is_relative_to(tmp_path)
    assert settings.dagster_home == paths.dagster == tmp_path / "dagster"
    assert str(tmp_path) in settings.mlflow_url
    assert not list(tmp_path.iterdir()), "naming a path must not create it"


def test_a_relative_home_becomes_absolute_since_servers_run_in_other_folders() -> None:
    assert Settings.from_env({"PMX_HOME": "state"}).home == Path.cwd() / "state"


@pytest.mark.parametrize(
    ("name", "value", "kind", "remedy"),
    [
        (
            "PMX_FIT_BACKEND",
            "spark",
            "text of 5 characters",
            "loky, threading, sequential, dask, ray, dask://host:port or ray://host:port",
        ),
        ("PMX_WORKERS", "many", "text of 4 characters", "a whole number from 1 to 256"),
        ("PMX_WORKERS", "0", "a whole number", "a whole number from 1 to 256"),
        ("PMX_WORKERS", "1.5", "a decimal number", "a whole number from 1 to 256"),
        ("PMX_WORKERS", "9" * 5000, "a whole number", "a whole number from 1 to 256"),
        ("PMX_LONG_ONLY", "2", "a whole number", "true or false"),
        ("PMX_LOG_LEVEL", "loud", "text of 4 characters", "one of debug, info, warning, error"),
        ("PMX_BOOK", "../live", "text of 7 characters", "a book's name"),
        ("PMX_BOOK", "x" * 33, "text of 33 characters", "a book's name"),
        ("PMX_LEDGER_URL", "mysql://h/d", "an address of kind 'mysql'", "postgresql://"),
        ("PMX_CATALOG_URL", "true", "a yes or no", "postgresql://"),
        ("PMX_LAKE_URL", "ftp://h/d", "an address of kind 'ftp'", "s3://bucket/prefix"),
        ("PMX_MLFLOW_URL", "here", "text of 4 characters", "sqlite:///path"),
        ("PMX_HOME", "a\0b", "text of 3 characters", "without null characters"),
    ],
)
def test_a_wrong_value_names_the_variable_its_kind_and_the_remedy(
    name: str, value: str, kind: str, remedy: str
) -> None:
    """The value is not repeated, since a key may have been pasted into the wrong variable."""
    with pytest.raises(UsageError) as caught:
        Settings.from_env({name: value})

    assert name in str(caught.value)
    assert kind in str(caught.value)
    assert remedy in caught.value.remedy
    assert caught.value.exit_code == 2


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.from_env({"PMX_WORKERS": " ", "PMX_BOOK": ""}).book == "paper"
    assert Settings.from_env({}).fit_backend is None
    assert Settings.from_env({"PMX_FIT_BACKEND": "ray"}).fit_backend == "ray"


def test_an_unknown_variable_is_warned_about_with_the_nearest_known_one() -> None:
    """A misspelt variable that silently does nothing is how people trade on the wrong book."""
    settings = Settings.from_env({"PMX_BOOOK": "live", "PMX_ZZZ": "1", "OTHER": "1"})

    assert len(settings.warnings) == 2
    assert "PMX_BOOOK" in settings.warnings[0]
    assert "did you mean PMX_BOOK?" in settings.warnings[0]
    assert "pmx config show" in settings.warnings[1]


def test_credentials_are_kept_but_never_shown() -> None:
    """Any PMX_ variable that ends like a key is a credential of some source or venue."""
    environ = {
        "PMX_FINNHUB_KEY": "very-secret-key",
        "PMX_BROKER_TOKEN": "very-secret-token",
        "PMX_LEDGER_URL": "postgresql://me:very-secret-pass@host/db",
    }
    settings = Settings.from_env(environ)

    assert settings.secret("PMX_FINNHUB_KEY") == "very-secret-key"
    assert settings.secret("PMX_NONE_KEY") is None
    assert settings.warnings == ()
    assert settings.ledger_url == environ["PMX_LEDGER_URL"]
    for text in (repr(settings), str(settings), f"{settings.shown()}"):
        assert "very-secret" not in text
    assert settings.shown()["PMX_FINNHUB_KEY"] == "***"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://me:p@ss:w@host/db", "postgresql://me:***@host/db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://host/db?user=me&password=pw1", "postgresql://host/db?user=me&password=***"),
        ("sqlite:////home/me@work/x.db", "sqlite:////home/me@work/x.db"),
    ],
)
def test_a_password_in_an_address_is_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_settings_travel_to_worker_processes() -> None:
    settings = Settings.from_env({"PMX_A_KEY": "k"})
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_every_variable_has_a_sentence() -> None:
    assert all(len(sentence) > 10 for sentence in VARIABLES.values())
