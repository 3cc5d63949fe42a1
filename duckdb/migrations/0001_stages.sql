-- One schema a stage. Every table ends with its lineage: which run wrote the row, from which snapshot
-- of the lake it was derived, by which code, and the hash of its own content.

CREATE SCHEMA IF NOT EXISTS meta;
CREATE SCHEMA IF NOT EXISTS raw;
CREATE SCHEMA IF NOT EXISTS clean;
CREATE SCHEMA IF NOT EXISTS feature;
CREATE SCHEMA IF NOT EXISTS model;
CREATE SCHEMA IF NOT EXISTS forecast;
CREATE SCHEMA IF NOT EXISTS signal;
CREATE SCHEMA IF NOT EXISTS target;
CREATE SCHEMA IF NOT EXISTS "order";
CREATE SCHEMA IF NOT EXISTS audit;

-- As delivered, append-only. A restatement is another row with a later known_at.
CREATE TABLE raw.daily_bars (
    symbol VARCHAR, basis VARCHAR, session DATE, event_time TIMESTAMPTZ, known_at TIMESTAMPTZ,
    source VARCHAR, asset_class VARCHAR, currency VARCHAR,
    open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, volume DOUBLE,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

CREATE TABLE raw.intraday_bars (
    symbol VARCHAR, basis VARCHAR, session DATE, event_time TIMESTAMPTZ, known_at TIMESTAMPTZ,
    source VARCHAR, asset_class VARCHAR, currency VARCHAR,
    open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, volume DOUBLE, interval_minutes INTEGER,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

CREATE TABLE raw.corporate_actions (
    symbol VARCHAR, ex_session DATE, kind VARCHAR, value DOUBLE, known_at TIMESTAMPTZ, source VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- Which source was passed over for which symbols, and why.
CREATE TABLE raw.source_skips (
    session DATE, source VARCHAR, symbols VARCHAR, reason VARCHAR, message VARCHAR, seconds DOUBLE,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- Judged and published: the rows of raw that no critical rule refused.
CREATE TABLE clean.daily_bars (
    symbol VARCHAR, basis VARCHAR, session DATE, event_time TIMESTAMPTZ, known_at TIMESTAMPTZ,
    source VARCHAR, asset_class VARCHAR, currency VARCHAR,
    open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, volume DOUBLE, raw_row_hash VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

CREATE TABLE clean.findings (
    symbol VARCHAR, basis VARCHAR, session DATE, suite VARCHAR, rule VARCHAR, severity VARCHAR,
    column_name VARCHAR, value VARCHAR, message VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- One row a night: what the gates made of the data.
CREATE TABLE clean.night_quality (
    session DATE, universe VARCHAR, score DOUBLE, reduce_only VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- The feature columns are added from the catalogue, so that a new feature needs no migration.
CREATE TABLE feature.daily_features (
    symbol VARCHAR, session DATE, known_at TIMESTAMPTZ, feature_set_version VARCHAR,
    code_hash VARCHAR, input_hash VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- Parameters of one model for one symbol, fitted on what was known after fit_as_of.
CREATE TABLE model.sarimax_fits (
    symbol VARCHAR, model VARCHAR, version VARCHAR, fit_as_of DATE, filter_from DATE,
    params VARCHAR, params_hash VARCHAR, start_params VARCHAR, diagnostics VARCHAR,
    converged BOOLEAN, error VARCHAR, reason VARCHAR, input_hash VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);
CREATE TABLE model.garch_fits AS SELECT * FROM model.sarimax_fits;

-- Whether a model may be traded on, by its hold-out; binds until the next one.
CREATE TABLE model.verdicts (
    model VARCHAR, session DATE, passed BOOLEAN, reason VARCHAR, figures VARCHAR,
    input_hash VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- One table a model; `combined` is the forecast that decisions use.
CREATE TABLE forecast.naive (
    symbol VARCHAR, session DATE, as_of TIMESTAMPTZ, model VARCHAR, horizon_days INTEGER,
    mean DOUBLE, std DOUBLE, q05 DOUBLE, q25 DOUBLE, q50 DOUBLE, q75 DOUBLE, q95 DOUBLE,
    fallback_chain VARCHAR, diagnostics VARCHAR, fit_as_of DATE, params_hash VARCHAR,
    input_hash VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);
CREATE TABLE forecast.persistence AS SELECT * FROM forecast.naive;
CREATE TABLE forecast.sarimax AS SELECT * FROM forecast.naive;
CREATE TABLE forecast.garch AS SELECT * FROM forecast.naive;
CREATE TABLE forecast.combined AS SELECT * FROM forecast.naive;

-- A model that has no forecast for a symbol says why; it is never silent.
CREATE TABLE forecast.failures (
    symbol VARCHAR, session DATE, as_of TIMESTAMPTZ, model VARCHAR, error VARCHAR, reason VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- The whole arithmetic of a decision, so that nobody has to recompute it to understand it.
CREATE TABLE signal.daily_signals (
    decision_id VARCHAR, strategy VARCHAR, symbol VARCHAR, session DATE, as_of TIMESTAMPTZ,
    action VARCHAR, horizon_days INTEGER, expected_return DOUBLE, volatility DOUBLE,
    confidence DOUBLE, round_trip_cost DOUBLE, required_return DOUBLE, reference_price DOUBLE,
    stop_price DOUBLE, target_price DOUBLE, gate VARCHAR, reason VARCHAR, forecast_hash VARCHAR,
    price_row_hash VARCHAR, parameters VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

CREATE TABLE target.daily_weights (
    decision_id VARCHAR, strategy VARCHAR, symbol VARCHAR, session DATE, weight DOUBLE,
    volatility_annual DOUBLE, bound_by VARCHAR, signal_hash VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- What the ledger says, for queries beside the other stages; the journal stays the authority.
CREATE TABLE "order".intents (
    decision_id VARCHAR, client_order_id VARCHAR, book VARCHAR, strategy VARCHAR, symbol VARCHAR,
    session DATE, side VARCHAR, quantity DECIMAL(28, 8), target_weight DOUBLE,
    reference_price DECIMAL(28, 8), equity DECIMAL(28, 8), ledger_seq BIGINT,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

CREATE TABLE "order".refusals (
    decision_id VARCHAR, book VARCHAR, strategy VARCHAR, symbol VARCHAR, session DATE,
    gate VARCHAR, reason VARCHAR, expected_return DOUBLE, cost DOUBLE,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

CREATE TABLE "order".fills (
    fill_id VARCHAR, client_order_id VARCHAR, decision_id VARCHAR, book VARCHAR, strategy VARCHAR,
    symbol VARCHAR, session DATE, decision_session DATE, event_time TIMESTAMPTZ, side VARCHAR,
    quantity DECIMAL(28, 8), price DECIMAL(28, 8), notional DECIMAL(28, 8),
    reference_price DECIMAL(28, 8), fee DECIMAL(28, 8), slippage DECIMAL(28, 8),
    price_row_hash VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- `session` is the night on which the future of `forecast_session` had arrived.
CREATE TABLE audit.forecast_scores (
    symbol VARCHAR, session DATE, model VARCHAR, horizon_days INTEGER, forecast_session DATE,
    realised DOUBLE, error DOUBLE, squared_error DOUBLE, absolute_error DOUBLE,
    symmetric_error DOUBLE, in_50 BOOLEAN, in_90 BOOLEAN, pit DOUBLE,
    pinball_q05 DOUBLE, pinball_q25 DOUBLE, pinball_q50 DOUBLE, pinball_q75 DOUBLE,
    pinball_q95 DOUBLE, pinball DOUBLE, direction_hit DOUBLE,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- One audit a night and model: its error beside that of the best simpler model.
CREATE TABLE audit.model_audits (
    model VARCHAR, session DATE, baseline VARCHAR, horizon_days INTEGER, observations INTEGER,
    rmse DOUBLE, rmse_baseline DOUBLE, excess_fraction DOUBLE, is_violation BOOLEAN,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

CREATE TABLE audit.decisions (
    session DATE, model VARCHAR, decision VARCHAR, violation_rate DOUBLE,
    effective_audits INTEGER, reason VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

CREATE TABLE audit.nights (
    session DATE, book VARCHAR, equity DECIMAL(28, 8), cash DECIMAL(28, 8), positions INTEGER,
    trades INTEGER, intents INTEGER, refusals INTEGER, signals INTEGER,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);
