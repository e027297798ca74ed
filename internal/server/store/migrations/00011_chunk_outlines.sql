-- +goose Up

-- What charts of many rows are made of, beside the chunks that have enough lines. It goes with its chunk.
CREATE TABLE IF NOT EXISTS chunk_outlines (
  run_id  BIGINT         NOT NULL,
  stream  SMALLINT       NOT NULL,
  writer  VARBINARY(128) NOT NULL,
  seq     BIGINT         NOT NULL,
  outline MEDIUMBLOB     NOT NULL,
  PRIMARY KEY (run_id, stream, writer, seq)
);
