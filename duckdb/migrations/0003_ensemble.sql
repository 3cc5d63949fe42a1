-- The weight of every model in the combined forecast, with what spoke for it: one row a symbol,
-- session, part (mean or volatility) and model that was asked.
CREATE TABLE forecast.weights (
    symbol VARCHAR, session DATE, as_of TIMESTAMPTZ, part VARCHAR, model VARCHAR, weight DOUBLE,
    fit_odds DOUBLE, realised_odds DOUBLE, change_odds DOUBLE, naive_share DOUBLE,
    loss_ratio DOUBLE, record_sessions DOUBLE, variance_ratio DOUBLE,
    variance_ratio_p_value DOUBLE, change_sessions_ago INTEGER, reason VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);
