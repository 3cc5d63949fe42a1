-- Exits: how each held position was judged, and every round trip with where its result came from.

-- One row a held position and night; `reason` is empty where it may stay. Levels are in the units
-- of that night's bars, NULL where unknown; `fired_session` is the first session that fired.
CREATE TABLE "order".exits (
    decision_id VARCHAR, book VARCHAR, strategy VARCHAR, symbol VARCHAR, session DATE,
    reason VARCHAR, judged_at VARCHAR, fired_session DATE, trigger_price DOUBLE, refused VARCHAR,
    quantity DECIMAL(28, 9), entry_decision_id VARCHAR, entry_session DATE,
    entry_price DECIMAL(28, 8), stop_price DOUBLE, target_price DOUBLE, trailing_price DOUBLE,
    atr DOUBLE, close DOUBLE, sessions_held INTEGER, calendar_days_held INTEGER, doubts VARCHAR,
    bars_hash VARCHAR, signal_hash VARCHAR, parameters VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

ALTER TABLE "order".intents ADD COLUMN exit_reason VARCHAR;
ALTER TABLE audit.nights ADD COLUMN exits INTEGER;

-- `session` is the one in which the round trip ended. Amounts are exact; gross is at the reference
-- prices: net = gross - spread - slippage - impact - fee + dividends.
CREATE TABLE audit.closed_trades (
    trade_id VARCHAR, book VARCHAR, strategy VARCHAR, symbol VARCHAR, side VARCHAR,
    quantity DECIMAL(28, 9), entry_session DATE, entry_time TIMESTAMPTZ,
    entry_price DECIMAL(28, 8), session DATE, exit_time TIMESTAMPTZ, exit_price DECIMAL(28, 8),
    split_ratio VARCHAR, reason VARCHAR, sessions_held INTEGER, calendar_days_held INTEGER,
    entry_amount DECIMAL(28, 2), exit_amount DECIMAL(28, 2), spread DECIMAL(28, 8),
    slippage DECIMAL(28, 8), impact DECIMAL(28, 8), fee DECIMAL(28, 2), dividends DECIMAL(28, 2),
    gross_result DECIMAL(28, 8), net_result DECIMAL(28, 2), entry_decision_id VARCHAR,
    exit_decision_id VARCHAR, entry_fill_id VARCHAR, exit_fill_id VARCHAR,
    barbell_bucket VARCHAR, barbell_multiplier DOUBLE, missing VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);
