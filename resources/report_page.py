"""Renders a `NightlyReport` as one HTML file that needs nothing but itself.

Belongs here: markup and escaping. What the page says is decided in `quant.governance.report`, its
charts in `report_charts`, its look in `report_style`.

Every value from data goes through `html.escape`; and should one ever slip through, the page's
content policy allows no request and no script other than the two that are inlined here, named by
their hash.
"""

import base64
import hashlib
import html
import json
import os
import pkgutil
import tempfile
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from quant.core.errors import StorageUnavailableError
from quant.governance.report import KeyFigure, NextCommand, NightlyReport
from quant.governance.report_tables import Column, ReportTable
from quant.governance.report_words import UNKNOWN, Kind, day, is_missing, text, written
from resources.report_charts import DARK_OF, Chart, charts_of
from resources.report_style import CSS, SCRIPT

# From this many rows on a table gets a filter and scrolls inside its own frame.
_FILTER_FROM_ROWS = 12
_TALL_FROM_ROWS = 18
# What somebody else wrote (a reason, a message) may be long; a cell is not the place for an essay.
_CELL_LENGTH_MAX = 400

_SECTIONS = (
    ("equity", "Equity and drawdown"),
    ("positions", "Positions"),
    ("trades", "Trades"),
    ("refusals", "Refusals"),
    ("models", "Models"),
    ("data", "Data quality"),
    ("costs", "Costs"),
    ("run", "Run"),
    ("next", "What to type next"),
)


def write_report(report: NightlyReport, path: Path) -> Path:
    """Write the page to `path`, whole or not at all."""
    page = render_report(report)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, suffix=".tmp", delete=False
        ) as draft:
            draft.write(page)
        # A temporary file is private to its owner; a report is as readable as any other file.
        Path(draft.name).chmod(0o644)
        os.replace(draft.name, path)
    except OSError as error:
        raise StorageUnavailableError(
            f"the report could not be written to {path}: {error.strerror}",
            remedy="free some space or choose a folder that can be written to, then run it again",
        ) from error
    return path


def render_report(report: NightlyReport) -> str:
    """The page as text."""
    charts = charts_of(report)
    title = _e(f"Nightly report {day(report.session)}" if report.session else "Nightly report")
    library = _plotly_script() if charts else ""
    scripts = [script for script in (library, SCRIPT) if script]
    figures = {name: _without_repeats(chart.figure) for name, chart in charts.items()}
    data = {"charts": figures, "dark": DARK_OF}
    return "".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="referrer" content="no-referrer">\n',
            f"<title>{title} · Portfolio Maximizer</title>\n<style>{CSS}</style>\n",
            "</head>\n<body>\n",
            '<a class="skip" href="#main">Skip to the report</a>\n',
            _header(report, title),
            f'<main id="main">\n{_body(report, charts)}</main>\n',
            "<footer><p>Portfolio Maximizer. This page is self-contained and sends nothing "
            "anywhere. Past results promise nothing.</p></footer>\n",
            f'<script type="application/json" id="page-data">{_json(data)}</script>\n',
            *(f"<script>{script}</script>\n" for script in scripts),
            "</body>\n</html>\n",
        ]
    )


def _header(report: NightlyReport, title: str) -> str:
    links = "".join(f'<li><a href="#{name}">{label}</a></li>' for name, label in _SECTIONS)
    return (
        f'<header>\n<p class="kicker">Portfolio Maximizer · {_e(report.book)} book</p>\n'
        f'<h1>{title}</h1>\n<p class="lead">{_e(report.headline)}</p>\n'
        f"{_figures(report.figures)}\n"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n'
        "<noscript><p>Charts need JavaScript; every number is in the tables and texts as well."
        "</p></noscript>\n</header>\n"
    )


def _body(report: NightlyReport, charts: dict[str, Chart]) -> str:
    parts = {
        "equity": _chart(charts, "equity", "No equity curve yet: it needs two sessions.")
        + (_figures(report.measures) + _paragraph(report.caution) if "equity" in charts else ""),
        "positions": _chart(charts, "weights", "") + _table(report.positions),
        "trades": "".join(
            [
                _paragraph(report.trades_sentence),
                _table(report.trades),
                "<h3>Round trips</h3>\n",
                _paragraph(report.closed_sentence),
                _table(report.closed),
            ]
        ),
        "refusals": "".join(
            [
                _chart(charts, "gates", ""),
                _table(report.refusals),
                "<h3>What became of them</h3>\n",
                _table(report.outcomes),
                "<h3>Tonight's signals</h3>\n",
                _table(report.signals),
            ]
        ),
        "models": _models(report, charts),
        "data": _paragraph(report.quality_sentence) + _table(report.findings),
        "costs": _costs(report),
        "run": _facts(report.facts),
        "next": _next(report.next_commands),
    }
    return "".join(
        f'<section id="{name}" aria-labelledby="{name}-title">\n'
        f'<h2 id="{name}-title">{label}</h2>\n{parts[name]}</section>\n'
        for name, label in _SECTIONS
    )


def _paragraph(sentence: str) -> str:
    return f"<p>{_e(sentence)}</p>\n" if sentence else ""


def _figures(figures: Sequence[KeyFigure]) -> str:
    cells = "".join(
        f'<div><dt>{_e(figure.label)}</dt><dd class="value">{_e(figure.value)}</dd>'
        f'<dd class="context">{_e(figure.note)}</dd></div>'
        for figure in figures
    )
    few = " few" if len(figures) < 5 else ""
    return f'<dl class="figures{few}">{cells}</dl>'


def _chart(charts: dict[str, Chart], name: str, missing: str) -> str:
    chart = charts.get(name)
    if chart is None:
        return f'<p class="empty">{_e(missing)}</p>\n' if missing else ""
    # A chart named like its section needs no second heading.
    heading = "" if (name, chart.title) in _SECTIONS else f"<h3>{_e(chart.title)}</h3>\n"
    return (
        f'<figure aria-labelledby="{name}-words">\n{heading}'
        f'<div class="chart" data-chart="{name}" style="height:{chart.height_px}px" '
        f'aria-hidden="true"></div>\n'
        f'<figcaption id="{name}-words">{_e(chart.words)}</figcaption>\n</figure>\n'
    )


def _models(report: NightlyReport, charts: dict[str, Chart]) -> str:
    missing = "No calibration histogram yet: it needs forecasts whose future has arrived."
    return "".join(
        [
            _paragraph(report.audit_sentence),
            "<h3>Verdicts</h3>\n",
            _table(report.verdicts),
            "<h3>Forecasts scored</h3>\n",
            _paragraph(report.record_sentence),
            _table(report.scores),
            _chart(charts, "coverage", ""),
            _chart(charts, "pinball", ""),
            _chart(charts, "pit", missing),
            _table(report.regimes),
            "<h3>Tonight's ensemble</h3>\n",
            _table(report.weights),
            "<h3>Audits</h3>\n",
            _table(report.audits),
        ]
    )


def _costs(report: NightlyReport) -> str:
    costs = report.costs
    if not costs.notional:
        return '<p class="empty">No costs: nothing was traded.</p>\n'
    share = UNKNOWN if costs.share is None else f"{costs.share * 1e4:.1f} bps"
    figures = [
        KeyFigure(label="Fees", value=written(costs.fees, Kind.MONEY), note=report.currency),
        KeyFigure(
            label="Slippage",
            value=written(costs.slippage, Kind.MONEY),
            note="paid beyond the reference price",
        ),
        KeyFigure(label="Together", value=written(costs.total, Kind.MONEY), note=report.currency),
        KeyFigure(
            label="Of what was traded",
            value=share,
            note=f"on {written(costs.notional, Kind.MONEY)}",
        ),
    ]
    return f"{_figures(figures)}\n"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<div><dt>{_e(name)}</dt><dd>{_e(value)}</dd></div>" for name, value in facts)
    return f'<dl class="facts">{cells}</dl>\n'


def _next(commands: Iterable[NextCommand]) -> str:
    items = "".join(
        f'<li>{_command(item.command)}<span class="purpose">{_e(item.purpose)}</span></li>'
        for item in commands
    )
    return f'<div class="next"><ul>{items}</ul></div>\n'


def _table(table: ReportTable) -> str:
    if table.rows.empty:
        return f'<p class="empty">{_e(table.empty)}</p>\n'
    shown = len(table.rows)
    caption = table.caption
    if table.total > shown:
        caption += f". The first {shown:,} of {table.total:,} are shown"
    tall = " tall" if shown >= _TALL_FROM_ROWS else ""
    name, said = table.name, _e(caption)
    headings = "".join(map(_heading, table.columns))
    return (
        f"{_filter(table) if shown >= _FILTER_FROM_ROWS else ''}"
        f'<div class="scroll{tall}" tabindex="0" role="region" aria-labelledby="{name}-caption">\n'
        f'<table id="table-{name}"><caption id="{name}-caption"><span>{said}</span></caption>\n'
        f"<thead><tr>{headings}</tr></thead>\n"
        f"<tbody>{''.join(_rows(table))}</tbody></table></div>\n"
    )


def _filter(table: ReportTable) -> str:
    return (
        f'<p class="filter"><label for="filter-{table.name}">Filter {_e(table.name)}</label>'
        f'<input id="filter-{table.name}" type="search" data-filter="table-{table.name}" '
        f'autocomplete="off"><output for="filter-{table.name}"></output></p>\n'
    )


def _heading(column: Column) -> str:
    if column.kind is Kind.CODE:
        return f'<th scope="col" class="plain">{_e(column.label)}</th>'
    side = ' class="num"' if column.kind.is_numeric else ""
    return f'<th scope="col"{side}><button type="button">{_e(column.label)}</button></th>'


def _rows(table: ReportTable) -> Iterable[str]:
    columns = [(column, table.rows[column.name].tolist()) for column in table.columns]
    for place in range(len(table.rows)):
        cells = (_cell(values[place], column.kind) for column, values in columns)
        yield f"<tr>{''.join(cells)}</tr>\n"


def _cell(value: Any, kind: Kind) -> str:
    said = written(value, kind)
    if kind.is_numeric:
        behind = "" if is_missing(value) else str(value)
        return f'<td class="num" data-v="{_e(behind)}">{_e(said)}</td>'
    if kind is Kind.CODE:
        return f'<td class="nowrap">{_command(text(value))}</td>'
    if kind is Kind.VERDICT:
        mark = "✓" if said == "passed" else "✗"
        return f'<td class="{_e(said)}">{mark} {_e(said)}</td>'
    if len(said) > _CELL_LENGTH_MAX:
        said = f"{said[:_CELL_LENGTH_MAX]}…"
    style = "nowrap" if kind is Kind.DATE or len(said) <= 16 else "words"
    return f'<td class="{style}">{_e(said)}</td>'


def _command(command: str) -> str:
    if not command:
        return UNKNOWN
    return (
        f'<code title="{_e(command)}">{_e(command)}</code> '
        '<button type="button" class="copy">Copy</button>'
    )


def _e(value: str) -> str:
    return html.escape(value, quote=True)


def _json(value: object) -> str:
    """JSON that cannot end its own script element."""
    written_out = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        written_out = written_out.replace(character, f"\\u{ord(character):04x}")
    return written_out


def _without_repeats(figure: dict[str, Any]) -> dict[str, Any]:
    """The figure with `null` for every list of sessions that the first trace has too.

    The page's script puts it back; decades of dates, four times over, would be half a megabyte.
    """
    first, *others = figure["data"]
    shared = [
        trace | {"x": None} if trace["x"] == first["x"] and len(first["x"]) > 100 else trace
        for trace in others
    ]
    return figure | {"data": [first, *shared]}


def _policy(scripts: Iterable[str]) -> str:
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@lru_cache(maxsize=1)
def _plotly_script() -> str:
    """Plotly's own bundle as its package ships it, read without importing the package's API."""
    bundle = pkgutil.get_data("plotly", "package_data/plotly.min.js")
    if bundle is None:
        raise StorageUnavailableError(
            "the plotly package lacks its JavaScript bundle",
            remedy="install the locked requirements",
        )
    # A browser turns CRLF into LF before it hashes, so the text must hold no CR to begin with.
    script = bundle.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    if "</script" in script.lower():
        raise StorageUnavailableError("the plotly bundle cannot be inlined: it ends its own script")
    return script
