-- +goose Up

-- What the processes of a run asked for lately, by a hash of all of it: a copy that comes late is told from something new.
CREATE TABLE IF NOT EXISTS run_calls (
  run_id BIGINT        NOT NULL,
  hash   VARBINARY(16) NOT NULL,
  at     BIGINT        NOT NULL,
  PRIMARY KEY (run_id, hash)
);
