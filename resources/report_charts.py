"""The report's charts as Plotly figures (plain dictionaries), with the words that replace them.

Belongs here: traces and layouts. Colours name the light palette; the page swaps in the dark one.
Does not belong here: markup, and the numbers themselves (`quant.governance.report`).

Plotly reads a small HTML of its own in every text, so names from data are escaped here as well.
"""

import html
from dataclasses import dataclass
from typing import Any

import pandas as pd

from quant.governance.report import NightlyReport
from quant.governance.report_words import Kind, day, plural, text, written

BLUE, GREY, RED, GREEN, VIOLET, AMBER = (
    "#1f5fbf",
    "#5f6873",
    "#b3261e",
    "#0f7b4f",
    "#6a3fa0",
    "#8a5a00",
)
# Each light colour with its dark counterpart of the same meaning; both reach a contrast of 4.5 : 1.
DARK_OF = {
    BLUE: "#7db2ff",
    GREY: "#a4adb8",
    RED: "#ff8f86",
    GREEN: "#5fce9f",
    VIOLET: "#c3a6ff",
    AMBER: "#e9b95c",
}
_MODEL_COLOURS = (BLUE, VIOLET, GREEN, AMBER, RED, GREY)
# Bars of several models differ in hatching as well, so that colour alone carries no meaning.
_HATCHES = ("", "/", "x", ".", "\\", "-")
# Longer names would push the bars off a phone's screen.
_LABEL_LENGTH_MAX = 28

Figure = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure, its heading, and what it shows in words for those who cannot see it."""

    name: str
    title: str
    words: str
    figure: Figure
    height_px: int


def charts_of(report: NightlyReport) -> dict[str, Chart]:
    """The charts that have something to show, by name."""
    built = (
        equity_chart(report),
        weights_chart(report),
        gates_chart(report),
        coverage_chart(report),
        pinball_chart(report),
        pit_chart(report),
    )
    return {chart.name: chart for chart in built if chart is not None}


def equity_chart(report: NightlyReport) -> Chart | None:
    """Equity and drawdown of the book (solid) against equal-weight buy and hold (dashed)."""
    curve = report.equity
    if len(curve) < 2:
        return None
    days = [day(session) for session in curve["session"]]
    data = [
        _line(days, curve["equity"], "Book", BLUE, "solid", axis="y"),
        _line(
            days,
            -curve["drawdown"].round(5),
            "Book drawdown",
            BLUE,
            "solid",
            axis="y2",
            filled=True,
        ),
    ]
    if curve["benchmark"].notna().any():
        rival = "Equal-weight buy and hold"
        data[1:1] = [_line(days, curve["benchmark"], rival, GREY, "dash", axis="y")]
        data.append(
            _line(
                days,
                -curve["benchmark_drawdown"].round(5),
                f"{rival} drawdown",
                GREY,
                "dash",
                axis="y2",
            )
        )
    layout = {
        "hovermode": "x unified",
        "xaxis": {"type": "date", "anchor": "y2", "domain": [0, 1]},
        "yaxis": {"domain": [0.36, 1], "title": {"text": f"Equity {html.escape(report.currency)}"}},
        "yaxis2": {"domain": [0, 0.27], "title": {"text": "Drawdown"}, "tickformat": ".0%"},
    }
    return Chart(
        name="equity",
        title="Equity and drawdown",
        words=_equity_words(curve),
        figure={"data": data, "layout": layout},
        height_px=430,
    )


def _equity_words(curve: pd.DataFrame) -> str:
    first, last = curve.iloc[0], curve.iloc[-1]
    said = (
        f"Equity went from {written(first['equity'], Kind.MONEY)} on {day(first['session'])} "
        f"to {written(last['equity'], Kind.MONEY)} on {day(last['session'])}."
    )
    if curve["drawdown"].notna().any() and curve["drawdown"].max() > 0:
        worst = curve.iloc[int(curve["drawdown"].fillna(0.0).to_numpy().argmax())]
        depth = written(worst["drawdown"], Kind.PERCENT)
        said += f" The deepest drawdown was {depth} on {day(worst['session'])}"
        rival = curve["benchmark_drawdown"].max()
        compared = f"; buy and hold fell {written(rival, Kind.PERCENT)} at worst"
        said += f"{compared if pd.notna(rival) else ''}."
    return said


def weights_chart(report: NightlyReport) -> Chart | None:
    """How much of equity each position is, the largest at the top."""
    rows = report.positions.rows
    if rows.empty:
        return None
    weights = [float(weight) for weight in pd.to_numeric(rows["weight"])]
    labels = [_label(symbol) for symbol in rows["symbol"]]
    largest = f"{text(rows['symbol'].iloc[0])} at {written(weights[0], Kind.PERCENT)}"
    return Chart(
        name="weights",
        title="Weight of each position",
        words=f"The largest position is {largest} of equity.",
        figure=_bars(labels, weights, BLUE, [written(w, Kind.PERCENT) for w in weights], ".0%"),
        height_px=_bars_height(len(labels)),
    )


def gates_chart(report: NightlyReport) -> Chart | None:
    """How many signals each gate refused."""
    rows = report.refusals_by_gate
    if rows.empty:
        return None
    counts = [int(count) for count in rows["count"]]
    busiest = f"{counts[0]:,} of {sum(counts):,} at the gate {text(rows['gate'].iloc[0])}"
    return Chart(
        name="gates",
        title="Refusals by gate",
        words=f"The commonest reason, {busiest}: {rows['words'].iloc[0].lower()}.",
        figure=_bars(
            [_label(words) for words in rows["words"]],
            [float(count) for count in counts],
            AMBER,
            [f"{count:,}" for count in counts],
            ",d",
        ),
        height_px=_bars_height(len(counts)),
    )


def pit_chart(report: NightlyReport) -> Chart | None:
    """Where outcomes fell in their forecast distributions; flat is honest."""
    if report.pit.empty:
        return None
    shares = report.pit.assign(bin=pd.to_numeric(report.pit["bin"]))
    edges = _all_edges(sorted(shares["bin"].unique()))
    even = 1.0 / len(edges)
    labels = [f"{edge:.2g}" for edge in edges]
    data: list[Figure] = []
    for place, (model, rows) in enumerate(shares.groupby("model", sort=True)):
        # A bin without a row is one into which nothing fell.
        by_bin = rows.set_index("bin")["share"].reindex(edges, fill_value=0.0)
        look = place % len(_MODEL_COLOURS)
        marker = {"color": _MODEL_COLOURS[look], "pattern": {"shape": _HATCHES[look]}}
        data.append(
            {
                "type": "bar",
                "name": _label(model),
                "x": labels,
                "y": _values(by_bin),
                "marker": marker,
                "hovertemplate": "%{y:.1%} from %{x} on",
            }
        )
    honest = _line(labels, pd.Series(even, index=labels), "Honest forecast", GREY, "dash")
    data.append(honest | {"hovertemplate": "%{y:.1%}"})
    layout = {
        "barmode": "group",
        "xaxis": {
            "type": "category",
            "title": {"text": "Quantile of the forecast"},
        },
        "yaxis": {
            "title": {"text": "Share of outcomes"},
            "tickformat": ".0%",
            "rangemode": "tozero",
        },
    }
    off = (pd.to_numeric(shares["share"]).astype(float) - even).abs().fillna(0.0)
    furthest = shares.iloc[int(off.to_numpy().argmax())]
    said = (
        f"A perfectly honest forecast puts {written(even, Kind.PERCENT)} in every bar. "
        f"Furthest from that is {text(furthest['model'])} with "
        f"{written(furthest['share'], Kind.PERCENT)} in the bar from {furthest['bin']:.2f} on."
    )
    return Chart(
        name="pit",
        title="Where outcomes fell in their forecasts (PIT)",
        words=said,
        figure={"data": data, "layout": layout},
        height_px=320,
    )


def _all_edges(found: list[float]) -> list[float]:
    """The lower edges of all equal bins of [0, 1), also of those that no model has a row for."""
    gaps = [after - before for before, after in zip(found, [*found[1:], 1.0], strict=True)]
    count = round(1.0 / min(gaps))
    return [place / count for place in range(count)]


def coverage_chart(report: NightlyReport) -> Chart | None:
    """How many outcomes fell inside the bands of one-day forecasts, by model."""
    rows = report.scored[report.scored["horizon_days"] == 1]
    if rows.empty:
        return None
    labels = [_label(model) for model in rows["model"]]
    data: list[Figure] = []
    for place, (name, promised) in enumerate((("coverage_50", 0.5), ("coverage_90", 0.9))):
        band = written(promised, Kind.PERCENT)
        colour, hatch = _MODEL_COLOURS[place], _HATCHES[place]
        data.append(
            {
                "type": "bar",
                "name": f"In the {band} band",
                "x": labels,
                "y": _values(rows[name]),
                "marker": {"color": colour, "pattern": {"shape": hatch}},
                "hovertemplate": "%{y:.1%}",
            }
        )
        honest = _line(labels, pd.Series(promised, index=labels), f"Honest {band}", GREY, "dash")
        data.append(honest | {"hovertemplate": "%{y:.0%}", "showlegend": False})
    off = (rows["coverage_90"] - 0.9).abs().fillna(0.0)
    furthest = rows.iloc[int(off.to_numpy().argmax())]
    return Chart(
        name="coverage",
        title="Outcomes inside the bands of one-day forecasts",
        words=(
            "An honest 90 % band holds 90 % of outcomes. Furthest from that is "
            f"{text(furthest['model'])} with {written(furthest['coverage_90'], Kind.PERCENT)}."
        ),
        figure={"data": data, "layout": _grouped("", ".0%")},
        height_px=320,
    )


def pinball_chart(report: NightlyReport) -> Chart | None:
    """Pinball loss over naive drift's, by model and horizon; below one is better."""
    rows = report.scored[report.scored["pinball_ratio"].notna()]
    rows = rows[rows["model"] != "naive"]
    if rows.empty:
        return None
    models = sorted(rows["model"].unique())
    labels = [_label(model) for model in models]
    data: list[Figure] = []
    for place, (horizon, part) in enumerate(rows.groupby("horizon_days", sort=True)):
        look = place % len(_MODEL_COLOURS)
        data.append(
            {
                "type": "bar",
                "name": f"{int(str(horizon))} {'day' if horizon == 1 else 'days'}",
                "x": labels,
                "y": _values(part.set_index("model")["pinball_ratio"].reindex(models)),
                "marker": {
                    "color": _MODEL_COLOURS[look],
                    "pattern": {"shape": _HATCHES[look]},
                },
                "hovertemplate": "%{y:.3f}",
            }
        )
    naive = _line(labels, pd.Series(1.0, index=labels), "Naive drift", GREY, "dash")
    data.append(naive | {"hovertemplate": "%{y:.0f}"})
    best = rows.iloc[int(rows["pinball_ratio"].to_numpy().argmin())]
    return Chart(
        name="pinball",
        title="Pinball loss relative to naive drift",
        words=(
            f"Below one is better than naive drift. Best is {text(best['model'])} over "
            f"{plural(int(best['horizon_days']), 'day')}, at "
            f"{written(best['pinball_ratio'], Kind.RATIO)}."
        ),
        figure={"data": data, "layout": _grouped("Loss over naive drift's", ".2f")},
        height_px=320,
    )


def _grouped(title: str, tickformat: str) -> Figure:
    return {
        "barmode": "group",
        "xaxis": {"type": "category"},
        "yaxis": {"title": {"text": title}, "tickformat": tickformat, "rangemode": "tozero"},
    }


def _line(
    x: list[str],
    y: pd.Series,
    name: str,
    colour: str,
    dash: str,
    *,
    axis: str = "y",
    filled: bool = False,
) -> Figure:
    line: Figure = {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": _values(y),
        "yaxis": axis,
        "line": {"color": colour, "dash": dash, "width": 2 if dash == "solid" else 1.5},
        # One entry in the legend per thing: its drawdown shares colour and dash.
        "showlegend": axis == "y",
    }
    line["hovertemplate"] = "%{y:.2%}" if axis == "y2" else "%{y:,.2f}"
    return line | ({"fill": "tozeroy"} if filled else {})


def _bars(
    labels: list[str], values: list[float], colour: str, texts: list[str], tickformat: str
) -> Figure:
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": labels,
        "x": values,
        "text": texts,
        "textposition": "auto",
        "marker": {"color": colour},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = {
        "showlegend": False,
        "xaxis": {"tickformat": tickformat, "rangemode": "tozero"},
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
    }
    return {"data": [bars], "layout": layout}


def _bars_height(count: int) -> int:
    return 90 + 26 * count


def _label(value: object) -> str:
    name = text(value)
    short = name if len(name) <= _LABEL_LENGTH_MAX else name[: _LABEL_LENGTH_MAX - 1] + "…"
    return html.escape(short, quote=False)


def _values(series: pd.Series) -> list[float | None]:
    """Numbers for JSON, which has no NaN: Plotly draws a gap where there is none.

    Seven digits are more than a screen resolves, and keep decades of sessions from filling the
    page.
    """
    return [float(f"{value:.7g}") if pd.notna(value) else None for value in pd.to_numeric(series)]
