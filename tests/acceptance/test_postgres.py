"""The same nights with every store in Postgres: catalogue, ledger tables and MLflow."""

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.desk import Desk
from resources.settings import Settings
from tests.support.pmx_calls import in_process
from tests.support.postgres import make_database, program, running_postgres
from tests.support.small_home import (
    contents,
    run_small_demo,
    small_environment,
    write_bundle,
    write_policy,
)

STORES = ("PMX_CATALOG_URL", "PMX_LEDGER_URL", "PMX_MLFLOW_URL")

pytestmark = pytest.mark.skipif(program("initdb") is None, reason="Postgres is not installed")


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The small installation, made anew with the three addresses set."""
    folder = tmp_path_factory.mktemp("on_postgres")
    with running_postgres() as address:
        stores = {name: make_database(address, name.lower()) for name in STORES}
        settings = Settings.from_env(small_environment(folder) | stores)
        write_policy(settings.config_dir)
        write_bundle(folder / "sample")
        run_small_demo(settings)
        yield settings


def test_nights_on_postgres_are_the_nights_on_sqlite(
    small_home: Settings, on_postgres: Settings
) -> None:
    """Where things lie decides nothing: the same rows, the same fills, the same money."""
    assert contents(on_postgres).tables == contents(small_home).tables
    assert _book(on_postgres) == _book(small_home)
    assert len(_book(small_home)[0]) > 0


def test_no_store_is_left_in_sqlite_beside_postgres(on_postgres: Settings) -> None:
    """A store left behind would be read by somebody one day, and be old; runs stay Dagster's."""
    home = Path(on_postgres.home)
    found = [*home.rglob("*.db"), *home.rglob("*.sqlite")]
    assert {path.relative_to(home).parts[0] for path in found} == {"dagster"}


def test_every_decision_on_postgres_is_derived_again(
    on_postgres: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Snapshots live in the catalogue, so a replay reads them from Postgres."""
    for name, value in _environment(on_postgres).items():
        monkeypatch.setenv(name, value)
    answer = in_process(on_postgres.home, capfd)("replay", "--all", "--verify", "--json")
    assert (answer.code, answer.json["verdict"]) == (0, "MATCH")
    assert answer.json["matches"] == answer.json["decisions"] > 0


@pytest.mark.parametrize(
    ("store", "command"),
    [
        ("PMX_CATALOG_URL", ["data", "quality"]),
        ("PMX_LEDGER_URL", ["nightly", "--session", "2022-12-28"]),
    ],
)
def test_a_database_that_is_not_there_is_named_once(
    own_home: Settings,
    store: str,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The server is down: one error that says which address, and no password of it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for name, value in small_environment(own_home.home.parent).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(store, f"postgresql://pmx:hidden-word@127.0.0.1:{port}/db")
    answer = in_process(own_home.home, capfd)(*command, "--json")
    answer.error(6, str(port))
    assert "hidden-word" not in answer.out + answer.err


def _environment(settings: Settings) -> dict[str, str]:
    return small_environment(settings.home.parent) | {
        "PMX_CATALOG_URL": settings.catalog_url or "",
        "PMX_LEDGER_URL": settings.ledger_url or "",
        "PMX_MLFLOW_URL": settings.mlflow_url,
    }


def _book(settings: Settings) -> tuple[list[object], object]:
    """Fills and the book; a fill names its run, which is another one in every home."""
    with Desk(settings) as desk, desk.ledger() as ledger:
        (name,) = ledger.books()
        fills = [dataclasses.replace(fill, run_id="") for fill in ledger.fills(book=name)]
        return list(fills), ledger.book(name)
