"""The commands of `pmx`: one line each, and where the code is.

Belongs here: names, headings, sentences and examples, so that `pmx --help` imports no command.
Does not belong here: code. The pattern for a new command is in `apps/cli/result.py`.
"""

from dataclasses import dataclass
from typing import Final

DEFAULT_SAFETY: Final = (
    "what was finished is kept, nothing half was written, and the same command goes on from there"
)

# Order of the headings in the help.
HEADINGS: Final = ("Start here", "Every night", "Look closer", "Judge", "Data", "House-keeping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One command. A name of two words makes a group: `config show` is `show` under `config`."""

    name: str
    target: str
    heading: str
    summary: str
    examples: tuple[str, ...] = ()
    # Said after Ctrl-C: what state the person is left with.
    safety: str = DEFAULT_SAFETY
    # For benchmarks and repairs: works like any other, and no help page lists it.
    is_hidden: bool = False


COMMANDS: Final[tuple[Entry, ...]] = (
    Entry(
        name="demo",
        target="apps.cli.demo:run",
        heading="Start here",
        summary="Real prices to audited paper trades: 60 nights, offline, no keys.",
        examples=("pmx demo", "pmx demo --json", "pmx demo --sessions 10"),
    ),
    Entry(
        name="nightly",
        target="apps.cli.nightly:run",
        heading="Every night",
        summary="Run one night: collect, judge, trade what was pending, decide, audit.",
        examples=("pmx nightly", "pmx nightly --session 2022-12-28", "pmx nightly --json"),
    ),
    Entry(
        name="trade",
        target="apps.cli.trade:run",
        heading="Every night",
        summary="Send what the night decided to the book's venue, and see it to its end.",
        examples=("PMX_BOOK=alpaca pmx trade", "PMX_BOOK=trial pmx trade --minutes 5 --json"),
        safety="what was sent is on record and may still fill; the same command looks it up",
    ),
    Entry(
        name="mode",
        target="apps.cli.mode:run",
        heading="Every night",
        summary="Show or set what may be sent: normal, reduce, pause, emergency.",
        examples=("pmx mode", "pmx mode pause --by ada --reason 'odd fills'"),
        safety="a change of mode is recorded whole or not at all",
    ),
    Entry(
        name="backfill",
        target="apps.cli.backfill:run",
        heading="Every night",
        summary="Compute past sessions that are missing or out of date; trades nothing.",
        examples=(
            "pmx backfill --from 2022-01-03 --to 2022-12-28",
            "pmx backfill --from 2022-12-01 --to 2022-12-28 --again --json",
        ),
        safety="finished chunks are kept, no order was made, and the same command goes on",
    ),
    Entry(
        name="materialize",
        target="apps.cli.materialize:run",
        heading="Every night",
        summary="Make any table again, for a session or a range; sends no order.",
        examples=(
            "pmx materialize forecast/naive --session 2022-12-27",
            "pmx materialize feature forecast --from 2022-12-01 --to 2022-12-28",
        ),
    ),
    Entry(
        name="up",
        target="apps.cli.up:run",
        heading="Start here",
        summary="Open web pages for runs, lineage and models; Ctrl-C stops them.",
        examples=("pmx up", "pmx up --write", "pmx up --dagster-port 4000"),
        safety="all servers were stopped; runs in progress are marked by the next `pmx up`",
    ),
    Entry(
        name="why",
        target="apps.cli.why:run",
        heading="Look closer",
        summary="Show where a fill, order, refusal or decision came from, to the raw rows.",
        examples=("pmx why f-2a4cc710", "pmx why f-2a4cc710 --json"),
        safety="looking changes nothing",
    ),
    Entry(
        name="replay",
        target="apps.cli.replay:run",
        heading="Look closer",
        summary="Derive a decision again from what it had read: MATCH, or what differs.",
        examples=("pmx replay f-2a4cc710 --verify", "pmx replay --all --verify --json"),
        safety="looking changes nothing",
    ),
    Entry(
        name="impact",
        target="apps.cli.impact:run",
        heading="Look closer",
        summary="List what one bar touched: features, forecasts, trades, money.",
        examples=("pmx impact clean.daily_bars AAPL 2022-11-15",),
        safety="looking changes nothing",
    ),
    Entry(
        name="trades",
        target="apps.cli.trades:run",
        heading="Look closer",
        summary="List closed round trips: why each ended, what it cost, what it earned.",
        examples=("pmx trades --since 2022-12-01", "pmx trades --reason TIME_EXIT --json"),
        safety="looking changes nothing",
    ),
    Entry(
        name="refusals",
        target="apps.cli.refusals:run",
        heading="Look closer",
        summary="List what did not trade, which gate stopped it, and why.",
        examples=("pmx refusals --since 2022-12-01", "pmx refusals --gate edge"),
        safety="looking changes nothing",
    ),
    Entry(
        name="decisions report",
        target="apps.cli.decisions:report",
        heading="Look closer",
        summary="Walk through years of bundled prices and say whether the cost gate pays.",
        examples=(
            "pmx decisions report",
            "pmx decisions report --from 2015-01-02 --json",
            "pmx decisions report --write report.md",
        ),
        safety="looking changes nothing",
    ),
    Entry(
        name="flags show",
        target="apps.cli.flags:show",
        heading="House-keeping",
        summary="Print which models may be traded on, and who decided that.",
        examples=("pmx flags show",),
        safety="looking changes nothing",
    ),
    Entry(
        name="flags set",
        target="apps.cli.flags:set_",
        heading="House-keeping",
        summary="Switch a model on or off; every running process sees it within a minute.",
        examples=("pmx flags set sarimax off --reason drift",),
        safety="the switch stands where it stood, or where it was asked to; see pmx flags show",
    ),
    Entry(
        name="audit sprint",
        target="apps.cli.audit:sprint",
        heading="Judge",
        summary="Count the latest forecast audits and decide: KEEP, or what else.",
        examples=(
            "pmx audit sprint --audits 20",
            "pmx audit sprint --audits 100 --compute 2022-12-28 --json",
        ),
        safety="audits that were counted stay counted, and the same command goes on from there",
    ),
    Entry(
        name="audit compare",
        target="apps.cli.audit:compare",
        heading="Judge",
        summary="Audit both sides of a flag over the same windows; a tenth better wins.",
        examples=("pmx audit compare regime --audits 20",),
        safety="audits that were counted stay counted, and the same command goes on from there",
    ),
    Entry(
        name="models list",
        target="apps.cli.models:show",
        heading="Judge",
        summary="Show each model's role and certificate, and why it could not lead.",
        examples=("pmx models list",),
        safety="looking changes nothing",
    ),
    Entry(
        name="models certify",
        target="apps.cli.models:certify",
        heading="Judge",
        summary="Judge a model by every gate and write the certificate down.",
        examples=("pmx models certify garch",),
        safety="a certificate is recorded whole or not at all",
    ),
    Entry(
        name="models promote",
        target="apps.cli.models:promote",
        heading="Judge",
        summary="Give a model a role; a champion needs a valid certificate.",
        examples=("pmx models promote garch --by ada --reason 'steadier'",),
        safety="a role is recorded whole or not at all",
    ),
    Entry(
        name="models rollback",
        target="apps.cli.models:rollback",
        heading="Judge",
        summary="Go back to the champion before this one.",
        examples=("pmx models rollback --by ada --reason 'drift'",),
        safety="a role is recorded whole or not at all",
    ),
    Entry(
        name="models sync",
        target="apps.cli.models:sync",
        heading="Judge",
        summary="Make MLflow's aliases say what the journal says.",
        examples=("pmx models sync",),
        safety="the roles hold whatever MLflow shows; the same command goes on from there",
    ),
    Entry(
        name="trials",
        target="apps.cli.trials:run",
        heading="Judge",
        summary="Count the hypotheses that were tried, abandoned ones too.",
        examples=("pmx trials", "pmx trials --family forecast.sign_rule --json"),
        safety="looking changes nothing",
    ),
    Entry(
        name="gates show",
        target="apps.cli.gates:show",
        heading="Judge",
        summary="Show the limits in force, and what the file may not loosen yet.",
        examples=("pmx gates show",),
        safety="looking changes nothing",
    ),
    Entry(
        name="gates loosen",
        target="apps.cli.gates:loosen",
        heading="Judge",
        summary="Ask for the looser values of gates.yaml; a pause begins.",
        examples=("pmx gates loosen --by ada --reason 'new market'",),
        safety="a request is recorded whole or not at all",
    ),
    Entry(
        name="gates confirm",
        target="apps.cli.gates:confirm",
        heading="Judge",
        summary="Say yes a second time, once the pause is over.",
        examples=("pmx gates confirm --by ada",),
        safety="a confirmation is recorded whole or not at all",
    ),
    Entry(
        name="ready",
        target="apps.cli.ready:run",
        heading="Judge",
        summary="Go or no-go: every line with its value, limit and evidence.",
        examples=("pmx ready", "pmx ready --stage tuning --json"),
        safety="looking changes nothing",
    ),
    Entry(
        name="bench",
        target="apps.cli.bench:run",
        heading="Look closer",
        summary="Measure speed against a rival and say whether each limit holds.",
        examples=("pmx bench all", "pmx bench lake --json"),
        safety="a measurement leaves nothing behind",
    ),
    Entry(
        name="ingest",
        target="apps.cli.ingest:run",
        heading="Data",
        summary="Load CSV or Parquet files, or the bundled data, into the warehouse.",
        examples=("pmx ingest prices/ --map close=Last", "pmx ingest sample"),
        safety="files are read whole before anything is written; the same command goes on from "
        "there",
    ),
    Entry(
        name="news ingest",
        target="apps.cli.news:ingest",
        heading="Data",
        summary="Load news from CSV, JSON Lines or Parquet; or synthetic ones.",
        examples=("pmx news ingest feed/", "pmx news ingest synthetic --seed 7"),
        safety="nothing or all of it was loaded, and the same command goes on from there",
    ),
    Entry(
        name="news list",
        target="apps.cli.news:show",
        heading="Data",
        summary="List news with the tone that was heard in each, from -1 to 1.",
        examples=("pmx news list --symbol AAPL",),
        safety="looking changes nothing",
    ),
    Entry(
        name="llm show",
        target="apps.cli.llm:show",
        heading="Look closer",
        summary="Show language models: switch, server, what they said and cost.",
        examples=("pmx llm show", "pmx llm show --since 2026-01-02 --json"),
        safety="looking changes nothing",
    ),
    Entry(
        name="synth",
        target="apps.cli.synth:run",
        heading="Data",
        summary="Write a synthetic market as a folder that `pmx ingest` takes.",
        examples=("pmx synth --seed 7 --symbols 50 --years 5 --defects",),
        safety="the folder is put in place whole or not at all",
    ),
    Entry(
        name="data quality",
        target="apps.cli.data:quality",
        heading="Data",
        summary="List every finding about the data: symbol, day, rule, value; or write its pages.",
        examples=("pmx data quality --symbol AAPL", "pmx data quality --docs"),
        safety="looking changes nothing",
    ),
    Entry(
        name="features prove",
        target="apps.cli.features:prove",
        heading="Data",
        summary="Prove that no feature looks ahead: rewrite the future and compare the past.",
        examples=("pmx features prove",),
        safety="looking changes nothing",
    ),
    Entry(
        name="features show",
        target="apps.cli.features:show",
        heading="Data",
        summary="Print the stored features of a symbol, the latest or those of a session.",
        examples=("pmx features show AAPL",),
        safety="looking changes nothing",
    ),
    Entry(
        name="venue",
        target="apps.cli.venue:run",
        heading="Look closer",
        summary="Serve a simulated venue that speaks Alpaca's and Binance's protocols.",
        examples=("pmx venue", "pmx venue --alpaca 8790 --binance 8791 --seed 7 --faults f.json"),
        safety="the venue was stopped; its events are kept",
    ),
    Entry(
        name="simulate",
        target="apps.cli.simulate:run",
        heading="Look closer",
        summary="Live through seeded worlds of faults; no invariant of an order may break.",
        examples=(
            "pmx simulate --seeds 0:1000 --days 10 --json",
            "pmx simulate --seeds 17:18 --trace",
        ),
        safety="a simulation leaves nothing behind",
    ),
    Entry(
        name="broker check",
        target="apps.cli.broker:run",
        heading="Look closer",
        summary="Reach a broker, refuse an unsafe key, and print what the account holds.",
        examples=(
            "pmx broker check alpaca",
            "pmx broker check alpaca --url http://127.0.0.1:8790 --trial",
        ),
        safety="nothing was ordered, except for a trial order at the simulator",
    ),
    Entry(
        name="ledger verify",
        target="apps.cli.ledger:verify",
        heading="House-keeping",
        summary="Check the ledger: chain, tables, money and signed checkpoints.",
        examples=("pmx ledger verify", "pmx ledger verify --checkpoints backup.jsonl --json"),
        safety="looking changes nothing",
    ),
    Entry(
        name="doctor",
        target="apps.cli.doctor:run",
        heading="House-keeping",
        summary="Check this installation: versions, disk, locks, ports, stuck runs.",
        examples=("pmx doctor", "pmx doctor --json"),
        safety="looking changes nothing",
    ),
    Entry(
        name="config show",
        target="apps.cli.config:show",
        heading="House-keeping",
        summary="Print every setting and policy in force; passwords are masked.",
        examples=("pmx config show", "pmx config show --json"),
        safety="looking changes nothing",
    ),
    Entry(
        name="config check",
        target="apps.cli.config:check",
        heading="House-keeping",
        summary="Check every policy file and list all that is wrong, with lines.",
        examples=("pmx config check",),
        safety="looking changes nothing",
    ),
    Entry(
        name="config history",
        target="apps.cli.config:history",
        heading="House-keeping",
        summary="List who changed which policy when, as the nights found it.",
        examples=("pmx config history", "pmx config history --json"),
        safety="looking changes nothing",
    ),
    Entry(
        name="heartbeat",
        target="apps.cli.heartbeat:run",
        heading="House-keeping",
        summary="Make one empty Dagster run, as a yardstick for `pmx bench`.",
        examples=("pmx heartbeat --json",),
        is_hidden=True,
    ),
    Entry(
        name="exit-codes",
        target="apps.cli.exit_codes:run",
        heading="House-keeping",
        summary="List what each exit code means, for scripts and schedulers.",
        examples=("pmx exit-codes",),
        safety="looking changes nothing",
    ),
)

# What a group's own line in the help says.
GROUPS: Final[dict[str, str]] = {
    "audit": "Audit forecasts: sprint, compare.",
    "broker": "Reach a broker and see what it says: check.",
    "gates": "See or loosen the limits: show, loosen, confirm.",
    "models": "Who leads, and why: list, certify, promote, rollback, sync.",
    "config": "Print, check or trace settings and policy: show, check, history.",
    "decisions": "Judge the decision rules on years of prices: report.",
    "flags": "Switch models on and off: show, set.",
    "llm": "Language models that may stand in: show.",
    "news": "News as an input: ingest, list.",
    "data": "Look at the data and its findings: quality.",
    "ledger": "Check that the record of what happened is whole: verify.",
    "features": "Prove or print the features: prove, show.",
}
