-- News as an input, and what language models were asked about and said.

-- As delivered, append-only: one row an item and symbol; `hash` is that of what it says.
CREATE TABLE raw.news (
    event_time TIMESTAMPTZ, known_at TIMESTAMPTZ, source VARCHAR, symbol VARCHAR,
    headline VARCHAR, body VARCHAR, hash VARCHAR,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);

-- One row a symbol, session and model that was asked, in the order of asking. `text` is what the
-- model wrote, untouched; the other columns are what could be read from it. A decision reads these
-- rows and never a server, so that it can be derived again without one.
CREATE TABLE signal.llm_answers (
    symbol VARCHAR, session DATE, place INTEGER, model VARCHAR, outcome VARCHAR, sentence VARCHAR,
    direction VARCHAR, confidence DOUBLE, horizon_days INTEGER, reason VARCHAR, text VARCHAR,
    question_hash VARCHAR, news_hashes VARCHAR, recalled_from VARCHAR, attempts INTEGER,
    prompt_tokens BIGINT, answer_tokens BIGINT, seconds DOUBLE, cost_usd DOUBLE,
    run_id VARCHAR, snapshot_id BIGINT, code_version VARCHAR, row_hash VARCHAR
);
