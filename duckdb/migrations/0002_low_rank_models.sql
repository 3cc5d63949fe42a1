-- SAMOSSA and MSSA-RL: the same tables as every model has.
CREATE TABLE model.samossa_fits AS SELECT * FROM model.sarimax_fits WHERE false;
CREATE TABLE model.mssa_rl_fits AS SELECT * FROM model.sarimax_fits WHERE false;
CREATE TABLE forecast.samossa AS SELECT * FROM forecast.naive WHERE false;
CREATE TABLE forecast.mssa_rl AS SELECT * FROM forecast.naive WHERE false;
