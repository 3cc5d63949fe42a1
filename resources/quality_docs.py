"""The data docs: one static page for each verdict, and an index, readable without a network.

Belongs here: having Great Expectations render its own records, and making the pages stand alone.
Does not belong here: judging (`resources.quality`), or the nightly report.

As they come, the pages load style sheets, scripts and pictures from a dozen addresses on the
internet. That would be blank without a network and tell third parties about every reader, so all of
it is cut out and a small style sheet stands in.
"""

import html
import importlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from resources.quality import SuiteReport
from resources.quality_engine import vendor

# Whatever is fetched from elsewhere, and what does not work without it.
_OUTSIDE: Final = re.compile(
    r"<script\b.*?</script\s*>|<style\b.*?</style\s*>|<link\b[^>]*>|<img\b[^>]*>"
    r"|<iframe\b.*?</iframe\s*>|<footer\b.*?</footer\s*>|<title>.*?</title>",
    re.IGNORECASE | re.DOTALL,
)
_DEAD_LINK: Final = re.compile(
    r'<a\b[^>]*(?:href="(?!#section)|data-toggle)[^>]*>(.*?)</a>', re.DOTALL
)
_ICON: Final = re.compile(r'<i class="fas ([^"]*)"\s*></i>')
_ICON_WORDS: Final = {
    "fa-check-circle text-success": '<span class="held">held</span>',
    "fa-times text-danger": '<span class="failed">failed</span>',
    "fa-exclamation-triangle text-warning": '<span class="failed">not judged</span>',
}
_FINDINGS_SHOWN = 200

# Values from foreign tables stand on these pages; no script of theirs runs.
_STYLE: Final = """<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'"><style>
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { max-width: 72rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { border-bottom: 1px solid #8885; padding: .35rem .6rem; text-align: left; }
td { vertical-align: top; }
ul { padding-left: 1.2rem; } p { margin: .3rem 0; } a { color: #2a6fdb; }
nav, .navbar, .modal, .sticky { display: none; }
.held { color: #18794e; } .failed { color: #c62a2f; }
.badge { border: 1px solid #8888; border-radius: .4rem; padding: 0 .35rem; }
</style></head>"""


def build_data_docs(reports: Iterable[SuiteReport], out_dir: Path) -> Path:
    """Write the pages of `reports` into `out_dir` and return the index.

    Earlier pages of other suites stay; the index lists what was handed over now.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    listed = list(reports)
    for report in listed:
        _write(out_dir / _page_name(report), _page(report))
    index = out_dir / "index.html"
    _write(index, _index(listed))
    return index


def _page_name(report: SuiteReport) -> str:
    """Suite names are file names already."""
    return f"{Path(report.suite).name}.html"


def _page(report: SuiteReport) -> str:
    """The tool's own page of one verdict, made to stand alone."""
    vendor()
    validation_result = importlib.import_module(
        "great_expectations.core.expectation_validation_result"
    )
    renderer = importlib.import_module("great_expectations.render.renderer")
    view = importlib.import_module("great_expectations.render.view")
    # The tool writes values into its pages as they are, and these come from foreign files.
    record = _escaped(json.loads(report.document))
    result = validation_result.expectationSuiteValidationResultSchema.load(record)
    judged_at = result.meta.get("batch_markers", {}).get("ge_load_time", "")
    result.meta["run_id"] = {"run_name": html.escape(report.run_name), "run_time": judged_at}
    page = view.DefaultJinjaPageView().render(
        renderer.ValidationResultsPageRenderer().render(result)
    )
    title = f"{report.suite}: {report.run_name}"
    return standalone(str(page), title=title, extra=_findings_table(report))


def _escaped(record: Any) -> Any:
    if isinstance(record, str):
        return html.escape(record)
    if isinstance(record, list):
        return [_escaped(item) for item in record]
    if isinstance(record, dict):
        return {key: _escaped(value) for key, value in record.items()}
    return record


def standalone(page: str, *, title: str, extra: str = "") -> str:
    """The page without anything that is fetched from elsewhere, `extra` at the top of its body."""
    bare = _DEAD_LINK.sub(r"\1", _OUTSIDE.sub("", page))
    bare = _ICON.sub(lambda icon: _ICON_WORDS.get(icon.group(1).strip(), ""), bare)
    head = f"<title>{html.escape(title)}</title>{_STYLE}"
    opening = f'<body><p><a href="index.html">All tables</a></p>{extra}'
    return re.sub(r"<body[^>]*>", lambda _: opening, bare.replace("</head>", head, 1), count=1)


def _findings_table(report: SuiteReport) -> str:
    """The rows at fault, which the tool's page only counts."""
    shown = report.findings.head(_FINDINGS_SHOWN)
    if shown.empty:
        return ""
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in zip(
            shown["session"].dt.strftime("%Y-%m-%d").fillna(""),
            *(shown[column] for column in ("symbol", "severity", "rule", "message")),
            strict=True,
        )
    )
    return (
        f"<h2>Findings: {len(report.findings)}, the first {len(shown)} shown</h2><table><thead><tr>"
        "<th>Session</th><th>Symbol</th><th>Severity</th><th>Rule</th><th>What is wrong</th></tr>"
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _index(reports: list[SuiteReport]) -> str:
    rows = "".join(_index_row(report) for report in reports)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Data quality</title>'
        f"{_STYLE}<body><h1>Data quality</h1><table><thead><tr><th>Table</th><th>Run</th>"
        "<th>Verdict</th><th>Expectations</th><th>Findings</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></body></html>\n"
    )


def _index_row(report: SuiteReport) -> str:
    verdict = "held" if report.success else ("failed, critical" if report.blocks else "warnings")
    style = "failed" if report.blocks else "held"
    link = f'<a href="{html.escape(_page_name(report))}">{html.escape(report.suite)}</a>'
    return (
        f'<tr><td>{link}</td><td>{html.escape(report.run_name)}</td><td class="{style}">{verdict}'
        f"</td><td>{report.evaluated - len(report.failed)} of {report.evaluated} hold</td>"
        f"<td>{len(report.findings)}</td></tr>"
    )


def _write(path: Path, text: str) -> None:
    """Whole or not at all: a reader may have the page open."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
