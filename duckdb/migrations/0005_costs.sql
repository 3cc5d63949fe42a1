-- What a decision rests on besides its forecast: costs in their parts, the five layers, the switches.

ALTER TABLE signal.daily_signals ADD COLUMN probability DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN risk DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN priority DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN spread_bps DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN slippage_bps DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN fee_bps DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN impact_bps DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN cost_source VARCHAR;
ALTER TABLE signal.daily_signals ADD COLUMN source VARCHAR;
ALTER TABLE signal.daily_signals ADD COLUMN source_model VARCHAR;
ALTER TABLE signal.daily_signals ADD COLUMN fallback_model VARCHAR;
ALTER TABLE signal.daily_signals ADD COLUMN routing VARCHAR;
ALTER TABLE signal.daily_signals ADD COLUMN market_trend DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN basket_correlation DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN proposed_weight DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN backtest_hit_rate DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN backtest_calls INTEGER;
ALTER TABLE signal.daily_signals ADD COLUMN backtest_state VARCHAR;
ALTER TABLE signal.daily_signals ADD COLUMN size_multiplier DOUBLE;
ALTER TABLE signal.daily_signals ADD COLUMN validation VARCHAR;

ALTER TABLE target.daily_weights ADD COLUMN size_multiplier DOUBLE;
ALTER TABLE target.daily_weights ADD COLUMN sector VARCHAR;
ALTER TABLE target.daily_weights ADD COLUMN barbell_bucket VARCHAR;
ALTER TABLE target.daily_weights ADD COLUMN barbell_multiplier DOUBLE;
ALTER TABLE target.daily_weights ADD COLUMN impact_verdict VARCHAR;
ALTER TABLE target.daily_weights ADD COLUMN impact VARCHAR;

-- Which models were switched on when a night was decided, and who had last moved each switch.
CREATE TABLE signal.model_flags (
    session DATE, model VARCHAR, is_on BOOLEAN, changed_by VARCHAR, changed_at TIMESTAMPTZ,
    reason VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- What own fills and bars say of costs, and what follows from it under the policy of that night.
CREATE TABLE audit.cost_estimates (
    session DATE, symbol VARCHAR, asset_class VARCHAR,
    fills INTEGER, adverse_bps DOUBLE, fills_fee_bps DOUBLE,
    class_fills INTEGER, class_adverse_bps DOUBLE, class_fee_bps DOUBLE,
    corwin_schultz_bps DOUBLE, abdi_ranaldo_bps DOUBLE, bars INTEGER,
    spread_bps DOUBLE, slippage_bps DOUBLE, fee_bps DOUBLE, impact_bps DOUBLE, source VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- What became of what was not done; `session` is the night on which its horizon had passed.
CREATE TABLE audit.counterfactuals (
    session DATE, decision_id VARCHAR, refused_session DATE, book VARCHAR, strategy VARCHAR,
    symbol VARCHAR, gate VARCHAR, action VARCHAR, horizon_days INTEGER, expected_return DOUBLE,
    round_trip_cost DOUBLE, reference_price DOUBLE, price DOUBLE, market_return DOUBLE,
    forgone_return DOUBLE, gate_was_right BOOLEAN,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);
