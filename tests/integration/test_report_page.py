"""The rendered page: one file, no request, nothing from data taken for markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from quant.core.errors import StorageUnavailableError
from quant.governance.report import build_report
from quant.governance.report_inputs import COLUMNS, ReportInputs
from resources.report_charts import DARK_OF, charts_of
from resources.report_page import render_report, write_report
from tests.support.report_book import book_inputs

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><b>&amp;"
VOID = {"meta", "input", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """Collects what a browser would see, and checks that elements close in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.scripts: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            self.scripts.append(data)
        elif inside != "style":
            self.said.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.said).split())


@pytest.fixture(scope="module")
def report():
    return build_report(book_inputs())


@pytest.fixture(scope="module")
def source(report):
    return render_report(report)


@pytest.fixture(scope="module")
def page(source):
    return Page(source)


def test_the_page_is_one_file_below_six_megabytes_that_asks_for_nothing(source, page):
    """No address in any element, and a policy under which a browser would refuse one."""
    assert len(source.encode()) < 6_000_000
    assert not page.open
    for tag, attributes in page.elements:
        assert not {"src", "srcset", "action", "data"} & set(attributes), tag
        assert attributes.get("href", "#").startswith("#"), tag
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy


def test_only_the_scripts_named_in_the_policy_are_on_the_page(source, page):
    """The hash of each script that would run stands in the policy, and no other."""
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    running = re.findall(r"<script>(.*?)</script>", source, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in running]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert len(running) == 2
    assert "\r" not in source


def test_every_section_table_and_chart_is_named_for_those_who_cannot_see_it(page):
    """One first heading, sections with headings, tables with captions, charts with words."""
    names = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert len(page.all("h1")) == 1
    assert len(page.all("caption")) == len(page.all("table")) == 11
    for tag in ("section", "figure", "div"):
        for attributes in page.all(tag):
            assert attributes.get("aria-labelledby", "main") in names
    assert all(attributes["scope"] == "col" for attributes in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"


def test_the_page_shows_the_book_with_its_commands(report, page):
    """What the report says is what the page says."""
    assert report.headline in page.words
    for column in ("Refused signals", "Verdicts on models", "Findings of the data quality rules"):
        assert column in page.words
    assert report.next_commands[0].command in page.words
    assert "✓ passed" in page.words
    assert "✗ refused" in page.words


def test_a_night_without_anything_says_so_and_carries_no_chart():
    """Words instead of empty axes; and without charts the library stays out as well."""
    empty = render_report(build_report(ReportInputs()))
    page = Page(empty)
    assert page.all("figure") == page.all("table") == []
    assert len(empty) < 40_000
    for said in (
        "No trades yet",
        "No positions",
        "No refusals",
        "No equity curve yet",
        "No findings",
        "No forecast has met its future yet",
        "No costs: nothing was traded",
    ):
        assert said in page.words


def test_hostile_names_and_news_stay_text_everywhere():
    """Every text of every frame, and every fact, tries to break out of the page."""
    inputs = book_inputs()
    frames = {}
    for name in COLUMNS:
        frame = getattr(inputs, name).copy()
        for column in frame.columns:
            if column in ("session", "passed") or pd.api.types.is_numeric_dtype(frame[column]):
                continue
            if isinstance(frame[column].iloc[0], str):
                frame[column] = HOSTILE + frame[column].astype(str)
        frames[name] = frame
    facts = dict.fromkeys([*inputs.facts, HOSTILE], HOSTILE)
    facts |= {"session": inputs.facts["session"], "quality_score": 0.9}
    report = build_report(ReportInputs(**frames, facts=facts))
    page = Page(render_report(report))
    assert not page.open
    assert page.all("img") == page.all("b") == []
    assert len(page.all("script")) == 3
    assert not any(name.startswith("on") for _, a in page.elements for name in a)
    assert HOSTILE in page.words
    for chart in charts_of(report).values():
        for trace in chart.figure["data"]:
            texts = [trace.get("name", ""), *(trace["x"] if trace["type"] == "bar" else [])]
            texts += trace["y"] if trace.get("orientation") == "h" else []
            assert not any("<" in text for text in texts if isinstance(text, str))


def test_the_charts_are_valid_plotly_figures_and_hold_the_books_numbers(report):
    """Plotly's own validators accept every trace; the last point is the last equity."""
    import plotly.graph_objects as go

    charts = charts_of(report)
    assert set(charts) == {"equity", "weights", "gates", "pit", "coverage", "pinball"}
    for chart in charts.values():
        figure = go.Figure(chart.figure)
        assert len(figure.data) == len(chart.figure["data"])
    book = charts["equity"].figure["data"][0]
    assert book["y"][-1] == pytest.approx(report.equity["equity"].iloc[-1])
    assert sum(charts["gates"].figure["data"][0]["x"]) == report.refusals_by_gate["count"].sum()


def test_a_bin_that_nothing_fell_into_is_a_bar_of_zero_and_not_left_out():
    """Three of ten bins have rows: an honest forecast still has a tenth in each of ten."""
    rows = pd.DataFrame({"model": "garch", "bin": [0.0, 0.3, 0.4], "share": [0.5, 0.25, 0.25]})
    chart = charts_of(build_report(ReportInputs(pit=rows)))["pit"]
    bars, honest = chart.figure["data"]
    assert bars["y"] == [0.5, 0.0, 0.0, 0.25, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert honest["y"] == [0.1] * 10
    assert chart.words.startswith("A perfectly honest forecast puts 10.00 % in every bar.")


def test_the_charts_of_scores_show_what_the_table_says(report):
    """Coverage of one-day forecasts by model; pinball loss over naive drift's, without itself."""
    charts = charts_of(report)
    half, honest_half, most, honest_most = charts["coverage"].figure["data"]
    one_day = report.scored[report.scored["horizon_days"] == 1]
    assert half["y"] == pytest.approx(one_day["coverage_50"].tolist(), rel=1e-6)
    assert most["y"] == pytest.approx(one_day["coverage_90"].tolist(), rel=1e-6)
    assert (honest_half["y"][0], honest_most["y"][0]) == (0.5, 0.9)
    bars, naive = charts["pinball"].figure["data"]
    ratios = report.scored.set_index("model")["pinball_ratio"]
    assert bars["y"] == pytest.approx([ratios[model] for model in bars["x"]], rel=1e-6)
    assert set(naive["y"]) == {1.0}


def test_a_gap_in_the_benchmark_is_a_gap_in_the_line(page):
    """JSON knows no NaN, and a browser would stop at one."""
    inputs = book_inputs()
    equity = inputs.equity.assign(benchmark=float("nan"))
    equity.loc[5, "equity"] = float("nan")
    source = render_report(build_report(ReportInputs(equity=equity)))
    data = re.search(r'id="page-data">(.*?)</script>', source, flags=re.DOTALL)
    figure = json.loads(data.group(1), parse_constant=pytest.fail)["charts"]["equity"]
    assert figure["data"][0]["y"][5] is None
    assert {trace["name"] for trace in figure["data"]} == {"Book", "Book drawdown"}


def test_thirty_years_of_sessions_and_thousands_of_rows_stay_below_six_megabytes():
    """The longest history of the bundled data, with a refusal for every session."""
    inputs = book_inputs(8_300)
    assert len(inputs.equity) > 8_000
    assert len(inputs.refusals) > 4_000
    source = render_report(build_report(inputs))
    assert len(source.encode()) < 5_900_000
    assert "The first 300 of" in source


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    dim, bright = sorted((_luminance(one), _luminance(other)))
    return (bright + 0.05) / (dim + 0.05)


def test_text_and_charts_keep_a_contrast_of_four_and_a_half_in_light_and_dark(source):
    """WCAG AA, computed from the colours that are on the page."""
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", source, flags=re.DOTALL)[:2]
    )
    for palette, charts in ((light, DARK_OF.keys()), (dark, DARK_OF.values())):
        inks = [palette[name] for name in ("ink", "soft", "accent", "good", "bad")]
        for ink in [*inks, *charts]:
            for ground in (palette["paper"], palette["card"]):
                assert _contrast(ink, ground) >= 4.5, (ink, ground)


def test_a_page_is_written_whole_or_not_at_all(report, tmp_path):
    """A folder that is a file cannot be written into; the error says what to do."""
    path = write_report(report, tmp_path / "reports" / "2022-12-28.html")
    assert path.read_text(encoding="utf-8").endswith("</html>\n")
    assert [entry.name for entry in path.parent.iterdir()] == ["2022-12-28.html"]
    with pytest.raises(StorageUnavailableError) as refused:
        write_report(report, path / "inside" / "a-file.html")
    assert "free some space" in refused.value.remedy
