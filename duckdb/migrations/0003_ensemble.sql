-- The weight of every model in the combined forecast, with what spoke for it: one row a symbol,
-- session, part (mean or volatility) and model that was asked.
CREATE TABLE forecast.weights (
    symbol VARCHAR, session DATE, as_of TIMESTAMPTZ, part VARCHAR, model VARCHAR, weight DOUBLE,
    fit_odds DOUBLE, realised_odds DOUBLE, change_odds DOUBLE, naive_share DOUBLE,
    loss_ratio DOUBLE, record_sessions DOUBLE, variance_ratio DOUBLE,
    variance_ratio_p_value DOUBLE, change_sessions_ago INTEGER, reason VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- How large an error is beside what is usual, and in which times it was made.
ALTER TABLE audit.forecast_scores ADD COLUMN scaled_error DOUBLE;
ALTER TABLE audit.forecast_scores ADD COLUMN regime VARCHAR;

-- Scores pooled, always of the rows as they stand; `regime` is that of the forecast's own session.
CREATE VIEW audit.accuracy AS
SELECT model, horizon_days, regime, count(*) AS count, avg(error) AS bias,
       sqrt(avg(squared_error)) AS rmse, avg(absolute_error) AS mae,
       avg(symmetric_error) AS smape, avg(scaled_error) AS mase,
       stddev_pop(error) AS tracking_error, avg(direction_hit) AS directional_accuracy,
       avg(in_50::INTEGER) AS coverage_50, avg(in_90::INTEGER) AS coverage_90,
       avg(pinball) AS pinball, avg(pit) AS pit_mean, stddev_pop(pit) AS pit_deviation
FROM audit.forecast_scores GROUP BY model, horizon_days, regime;

CREATE VIEW audit.accuracy_by_symbol AS
SELECT model, horizon_days, symbol, count(*) AS count, avg(error) AS bias,
       sqrt(avg(squared_error)) AS rmse, avg(absolute_error) AS mae,
       avg(symmetric_error) AS smape, avg(scaled_error) AS mase,
       stddev_pop(error) AS tracking_error, avg(direction_hit) AS directional_accuracy,
       avg(in_50::INTEGER) AS coverage_50, avg(in_90::INTEGER) AS coverage_90,
       avg(pinball) AS pinball, avg(pit) AS pit_mean, stddev_pop(pit) AS pit_deviation
FROM audit.forecast_scores GROUP BY model, horizon_days, symbol;

-- Where outcomes fell in their forecast distributions, in tenths; a calibrated model has 0.1 each.
CREATE VIEW audit.pit_histogram AS
SELECT model, horizon_days, regime, least(floor(pit * 10), 9)::INTEGER AS tenth, count(*) AS count,
       count(*) / sum(count(*)) OVER (PARTITION BY model, horizon_days, regime) AS share
FROM audit.forecast_scores GROUP BY model, horizon_days, regime, tenth;
