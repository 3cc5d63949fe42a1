"""News from files into the warehouse, and `pmx` about it."""

import datetime as dt
import json

import pandas as pd
import pytest

from apps.cli.main import main
from quant.core.errors import DataError, UsageError
from resources.language.status import NO_SERVER, model_statuses, sentence
from resources.market_data.news_files import read_news
from tests.loopback import refusing_address
from tests.support.language_server import GOOD, model, policy, saying

NOW = dt.datetime(2026, 3, 2, 21, 15, tzinfo=dt.UTC)
RECORDS = [
    {
        "event_time": "2026-03-02T19:00:00Z",
        "known_at": "2026-03-02T19:01:00Z",
        "source": "agency",
        "symbol": "AAPL",
        "headline": 'Profit fell sharply, "worst" year',
        "body": "Two\nlines, one comma.",
    },
    {
        "event_time": "2026-03-02T20:00:00Z",
        "known_at": "2026-03-02T20:01:00Z",
        "source": "agency",
        "symbol": "KO",
        "headline": "Café sales rise",
        "body": "",
    },
]


def write(folder, kind):
    frame = pd.DataFrame(RECORDS)
    path = folder / f"feed.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(one) + "\n" for one in RECORDS), encoding="utf-8")
    else:
        times = {name: pd.to_datetime(frame[name]) for name in ("event_time", "known_at")}
        frame.assign(**times).to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_every_format_says_the_same(tmp_path, kind):
    items = read_news(write(tmp_path, kind), now=NOW)
    assert [(one.symbol, one.headline, one.body) for one in items] == [
        (one["symbol"], one["headline"], one["body"]) for one in RECORDS
    ]
    assert [one.hash for one in items] == [
        one.hash for one in read_news(write(tmp_path, "csv"), now=NOW)
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"date,text\n2026-03-02,hello\n", "header"),
        ("a.csv", b'event_time,symbol,headline\n"2026', "unexpected end"),
        ("a.csv", b"event_time,symbol,headline\n2026-03-02,AAPL,x\n", "line 2, field event_time"),
        ("a.csv", b"\xff\xfe\x00", "not UTF-8"),
        ("a.jsonl", b"[1]\n", "line 1: it is no JSON object"),
        ("a.jsonl", b'{"event_time": "2026-03-02T19:00:00Z"', "no JSON object"),
        ("a.jsonl", b"[" * 100_000, "no JSON object"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_a_broken_file_is_refused_as_a_whole(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says):
        read_news(tmp_path, now=NOW)


def test_a_path_that_is_none_is_a_wrong_request(tmp_path):
    with pytest.raises(UsageError, match="is not there"):
        read_news(tmp_path / "absent", now=NOW)
    (tmp_path / "notes.docx").write_bytes(b"")
    assert read_news(tmp_path, now=NOW) == []


def test_pmx_loads_news_once_and_lists_it_with_its_tone(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("PMX_HOME", str(tmp_path / "home"))
    path = str(write(tmp_path, "jsonl"))

    def pmx(*arguments):
        capfd.readouterr()
        assert main([*arguments, "--json"]) == 0
        return json.loads(capfd.readouterr().out)

    assert pmx("news", "ingest", path)["items_landed"] == 2
    assert pmx("news", "ingest", path)["items_landed"] == 0
    heard = pmx("news", "list")["items"]
    assert [one["symbol"] for one in heard] == ["KO", "AAPL"]
    assert heard[0]["sentiment"] > 0.2 > -0.4 > heard[1]["sentiment"]
    shown = pmx("llm", "show")
    assert [one["is_on"] for one in shown["models"]] == [False, False, False]
    assert shown["spent"] == []


def test_one_sentence_says_whether_a_language_model_stands_by():
    """Nobody there; somebody there and switched off; switched on. A knock asks nothing."""
    dead = policy(model(refusing_address()))
    assert sentence(model_statuses(dead, {})) == NO_SERVER == "LLM fallback: no server, skipped"
    assert sentence(model_statuses(dead, {"llm_first": True})) == NO_SERVER
    with saying(GOOD) as server:
        alive = policy(model(server.url))
        assert "pmx flags set llm_first on" in sentence(model_statuses(alive, {}))
        assert "llm_first (small:1b) is asked" in sentence(
            model_statuses(alive, {"llm_first": True})
        )
    assert server.asks == []
    away = policy(model("https://llm.example.com"))
    assert model_statuses(away, {})[0].is_listening is None
