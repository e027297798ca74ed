-- +goose Up

-- How many bytes an entity may store, where that is not what the configuration says; 0 for any number.
CREATE TABLE IF NOT EXISTS entity_quotas (
  entity_id BIGINT NOT NULL,
  bytes     BIGINT NOT NULL,
  set_at    BIGINT NOT NULL,
  PRIMARY KEY (entity_id)
);

-- How many bytes an entity stored when that was last measured.
CREATE TABLE IF NOT EXISTS entity_usage (
  entity_id   BIGINT NOT NULL,
  files       BIGINT NOT NULL,
  artifacts   BIGINT NOT NULL,
  history     BIGINT NOT NULL,
  measured_at BIGINT NOT NULL,
  PRIMARY KEY (entity_id)
);
