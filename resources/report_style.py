"""The look and the few lines of script of the report page, both inlined into it.

Belongs here: CSS and JavaScript as text. Does not belong here: anything with data in it, since the
page's content policy lets exactly these scripts run, by their hash.
"""

from typing import Final

CSS: Final = """
:root { color-scheme: light dark;
  --paper: #fcfcfa; --card: #ffffff; --ink: #1b1f24; --soft: #565f6a; --line: #dfe2e6;
  --accent: #1f5fbf; --good: #0f7b4f; --bad: #b3261e; --code: #f1f3f5; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #121518; --card: #1a1e22; --ink: #e7eaee; --soft: #a4adb8; --line: #323941;
  --accent: #7db2ff; --good: #5fce9f; --bad: #ff8f86; --code: #23292f; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  }
main, header, footer { max-width: 1240px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 40px; }
.kicker { margin: 0; color: var(--soft); font-size: .875rem; letter-spacing: .04em; }
h1 { margin: .1em 0 .4em; font-size: 2rem; line-height: 1.2; letter-spacing: -.015em; }
h2 { margin: 0 0 .6rem; font-size: 1.3rem; letter-spacing: -.01em; }
h3 { margin: 1.6rem 0 .4rem; font-size: 1rem; }
.lead { margin: 0; max-width: 62ch; font-size: 1.2rem; line-height: 1.5; }
nav ul { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 22px 0 0; padding: 10px 0;
  list-style: none; border-block: 1px solid var(--line); font-size: .9375rem; }
nav a { display: inline-block; padding: 4px 0; }
a { color: var(--accent); text-underline-offset: 3px; text-decoration-thickness: 1px; }
section { margin: 52px 0; scroll-margin-top: 16px; }
p { margin: .5rem 0; max-width: 72ch; }
.note, figcaption, .empty { color: var(--soft); }
.empty { padding: 14px 0; border-top: 1px solid var(--line); }
.figures { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); margin: 26px 0 0;
  padding: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  overflow: hidden; }
.figures div { padding: 13px 16px; box-shadow: 0 0 0 .5px var(--line); }
.figures.few { grid-template-columns: repeat(4, minmax(0, 1fr)); }
.figures + p { margin-top: 18px; }
.figures dt { color: var(--soft); font-size: .875rem; }
.figures dd { margin: 0; }
.figures .value { font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.figures .context { color: var(--soft); font-size: .8125rem; }
figure { margin: 12px 0 20px; }
figcaption { font-size: .9375rem; }
.chart { width: 100%; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background:
var(--card); } .scroll.tall { max-height: 560px; overflow-y: auto; }
.scroll:focus-visible, button:focus-visible, input:focus-visible, a:focus-visible,
summary:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; font-variant-numeric:
tabular-nums; } caption { padding: 10px 14px; text-align: left; color: var(--soft); }
caption span { position: sticky; left: 14px; display: inline-block; max-width: calc(100vw - 60px); }
th, td { padding: 7px 14px; text-align: left; vertical-align: top; border-top: 1px solid
var(--line);
  unicode-bidi: isolate; }
thead th { position: sticky; top: 0; z-index: 1; padding: 0; background: var(--card); font-weight:
600;
  white-space: nowrap; box-shadow: inset 0 -1px var(--line); }
thead th.plain { padding: 8px 14px; }
thead button { width: 100%; padding: 8px 14px; border: 0; background: none; color: inherit; font:
inherit;
  text-align: inherit; cursor: pointer; }
thead button::after { content: " ↕"; color: var(--soft); opacity: .6; }
thead [aria-sort=ascending] button::after { content: " ↑"; opacity: 1; }
thead [aria-sort=descending] button::after { content: " ↓"; opacity: 1; }
tbody th { font-weight: 600; }
.num { text-align: right; white-space: nowrap; }
.nowrap { white-space: nowrap; }
td.words { min-width: 22ch; max-width: 46ch; overflow-wrap: anywhere; }
tbody tr:hover > * { background: color-mix(in srgb, var(--accent) 7%, transparent); }
.passed { color: var(--good); font-weight: 600; white-space: nowrap; }
.refused { color: var(--bad); font-weight: 600; white-space: nowrap; }
code { padding: .12em .35em; border-radius: 4px; background: var(--code);
  font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere;
  }
td code { display: inline-block; max-width: 16ch; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; vertical-align: middle; }
.copy { vertical-align: middle; padding: 2px 8px; border: 1px solid var(--line); border-radius: 5px;
  background: var(--card);
  color: var(--ink); font: inherit; font-size: .8125rem; cursor: pointer; }
.filter { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 0 0 8px;
  font-size: .9375rem; color: var(--soft); }
.filter input { width: min(260px, 100%); padding: 6px 10px;
  border: 1px solid var(--line);
border-radius: 6px;
  background: var(--card); color: var(--ink); font: inherit; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 0 32px;
margin: 0; } .facts div { padding: 9px 0; border-top: 1px solid var(--line); }
.facts dt { color: var(--soft); font-size: .875rem; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.next { padding: 20px 24px; border: 1px solid var(--line); border-radius: 8px; background:
var(--card); } .next ul { margin: 0; padding: 0; list-style: none; }
.next li { padding: 8px 0; }
.next .purpose { display: block; color: var(--soft); font-size: .9375rem; }
footer { padding-bottom: 48px; color: var(--soft); font-size: .875rem; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 16px; top: 12px; padding: 6px 12px; background: var(--card); z-index: 2; }
@media (max-width: 900px) { .figures, .figures.few { grid-template-columns: repeat(2, 1fr); } }
@media (max-width: 600px) { main, header, footer { padding-inline: 16px; }
  header { padding-top: 24px; } h1 { font-size: 1.45rem; } .lead { font-size: 1.08rem; }
  section { margin: 38px 0; } .figures div { padding: 10px 12px; }
  .figures .value { font-size: 1.1rem; }
  th, td, caption, thead button, thead th.plain { padding-inline: 10px; }
  thead th { padding: 0; } caption span { left: 10px; }
  .next { padding: 14px 16px; } }
@media print { nav, .filter, .copy, thead button::after { display: none; }
  .scroll, .scroll.tall { max-height: none; overflow: visible; border: 0; } }
"""

# Charts are drawn from one JSON block, in which a trace without x shares that of the first; tables
# sort by the value behind each cell (data-v), so that "1,000.00" does not come before "9.00"; the
# filter hides rows that lack the typed words.
SCRIPT: Final = """
"use strict";
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const tinted = value => {
    if (Array.isArray(value)) return value.map(tinted);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, tinted(item)]));
    return dark.matches && Object.hasOwn(page.dark, value) ? page.dark[value] : value;
  };
  const axis = given => ({
    gridcolor: css("--line"), linecolor: css("--line"), zerolinecolor: css("--line"),
    automargin: true, fixedrange: matchMedia("(pointer: coarse)").matches, ...given,
    title: { standoff: 8, ...given.title, font: { size: 13, color: css("--soft") } } });
  const layout = given => {
    const out = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
      margin: { l: 8, r: 8, t: 8, b: 8 }, bargap: .3, colorway: [css("--accent")],
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: css("--ink") },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      hoverlabel: {
        bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink") } },
      ...given };
    for (const name of ["xaxis", "yaxis", "yaxis2"])
      if (name !== "yaxis2" || given.yaxis2) out[name] = axis(given[name]);
    return out;
  };
  const draw = () => document.querySelectorAll("[data-chart]").forEach(node => {
    const figure = tinted(page.charts[node.dataset.chart]);
    figure.data.forEach(trace => { trace.x ??= figure.data[0].x; });
    const options = { displayModeBar: false, responsive: true };
    Plotly.react(node, figure.data, layout(figure.layout), options);
  });
  const onEach = (selector, event, act) => document.querySelectorAll(selector)
    .forEach(node => node.addEventListener(event, () => act(node)));

  onEach("thead button", "click", button => {
    const head = button.parentElement, row = head.parentElement;
    const body = row.closest("table").tBodies[0];
    const place = [...row.children].indexOf(head), numeric = head.classList.contains("num");
    const up = head.getAttribute("aria-sort") !== "ascending";
    const key = line => line.children[place].dataset.v ?? line.children[place].textContent;
    const missing = value => value === "" || (numeric && Number.isNaN(Number(value)));
    const lines = [...body.rows].sort((left, right) => {
      const a = key(left), b = key(right);
      if (missing(a) || missing(b)) return missing(a) - missing(b);
      return (numeric ? a - b : a.localeCompare(b)) * (up ? 1 : -1);
    });
    [...row.children].forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...lines);
  });

  onEach("[data-filter]", "input", input => {
    const wanted = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const rows = [...document.getElementById(input.dataset.filter).tBodies[0].rows];
    rows.forEach(row => {
      const said = row.textContent.toLowerCase();
      row.hidden = !wanted.every(word => said.includes(word));
    });
    const shown = rows.filter(row => !row.hidden).length;
    input.parentElement.querySelector("output").textContent = `${shown} of ${rows.length} rows`;
  });

  // A page opened from a file may not use the clipboard; selecting the text is then the next best.
  onEach(".copy", "click", async button => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  dark.addEventListener("change", draw);
  draw();
})();
"""
