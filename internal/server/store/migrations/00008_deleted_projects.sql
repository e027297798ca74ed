-- +goose Up

-- Projects that were deleted, until nothing of them is left. Their rows in projects have the access DELETED and another
-- name: this is the one that they had, by which a client that still writes into one is told apart from one that begins anew.
CREATE TABLE IF NOT EXISTS project_graves (
  project_id BIGINT         NOT NULL,
  entity_id  BIGINT         NOT NULL,
  name       VARBINARY(128) NOT NULL,
  deleted_at BIGINT         NOT NULL,
  PRIMARY KEY (project_id),
  CONSTRAINT project_graves_name UNIQUE (entity_id, name, project_id)
);
