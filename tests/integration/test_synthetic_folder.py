import datetime as dt
import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from quant.core.errors import StorageUnavailableError, UsageError
from quant.market.bars import DAILY_BAR_COLUMNS
from quant.market.synthetic import generate
from resources.market_data.folder import read_bar_files
from resources.market_data.synthetic_folder import write_market

NOW = dt.datetime(2025, 6, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
@pytest.mark.parametrize("is_one_file_per_symbol", [False, True])
def test_what_is_written_is_what_the_ingest_reads(tmp_path, file_format, is_one_file_per_symbol):
    """The whole way round, defects included: the ingest repairs nothing."""
    market = generate(seed=7, symbols=5, years=2, defects=True)
    write_market(
        market,
        tmp_path / "market",
        file_format=file_format,
        is_one_file_per_symbol=is_one_file_per_symbol,
    )
    result = read_bar_files(tmp_path / "market", now=NOW)
    columns = [name for name in DAILY_BAR_COLUMNS if name != "source"]
    pd.testing.assert_frame_equal(result.daily[columns], market.bars[columns], check_exact=True)
    assert [path.name for path in result.skipped] == ["market.json"]
    np.testing.assert_allclose(result.actions["value"], market.actions["value"])
    assert result.actions["ex_session"].tolist() == market.actions["ex_session"].tolist()


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_market(generate(seed=7, symbols=4, years=1, defects=True), tmp_path / name)
    one, two = (
        {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (tmp_path / name).iterdir()
        }
        for name in ("one", "two")
    )
    assert one == two
    assert set(one) == {"bars.parquet", "actions.parquet", "market.json"}


def test_the_planted_defects_are_listed_beside_the_tables(tmp_path):
    market = generate(seed=7, symbols=4, years=1, defects=True)
    write_market(market, tmp_path / "market")
    about = json.loads((tmp_path / "market" / "market.json").read_text())
    assert len(about["defects"]) == len(market.defects) > 0
    assert about["defects"][0]["session"] == market.defects[0].session.isoformat()


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "precious.csv").write_text("date,close\n")
    with pytest.raises(UsageError, match="not an empty folder"):
        write_market(generate(seed=1, symbols=1, years=1), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.csv"]


def test_a_place_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailableError) as caught:
        write_market(generate(seed=1, symbols=1, years=1), tmp_path / "file" / "market")
    assert caught.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
