-- +goose Up

CREATE TABLE IF NOT EXISTS projects (
  id          BIGINT         NOT NULL,
  entity_id   BIGINT         NOT NULL,
  name        VARBINARY(128) NOT NULL,
  user_id     BIGINT         NOT NULL,
  access      VARBINARY(16)  NOT NULL,
  description MEDIUMBLOB     NOT NULL,
  run_count   BIGINT         NOT NULL,
  created_at  BIGINT         NOT NULL,
  updated_at  BIGINT         NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT projects_name UNIQUE (entity_id, name),
  FOREIGN KEY (entity_id) REFERENCES entities (id)
);

-- What people and clients say about a run. Written when they say it, never by metrics.
CREATE TABLE IF NOT EXISTS runs (
  id           BIGINT          NOT NULL,
  project_id   BIGINT          NOT NULL,
  name         VARBINARY(128)  NOT NULL,
  user_id      BIGINT          NOT NULL,
  sweep_id     BIGINT          NOT NULL,
  display_name VARBINARY(1024) NOT NULL,
  group_name   VARBINARY(1024) NOT NULL,
  job_type     VARBINARY(1024) NOT NULL,
  commit_hash  VARBINARY(256)  NOT NULL,
  host         VARBINARY(1024) NOT NULL,
  program      VARBINARY(4096) NOT NULL,
  repo         VARBINARY(4096) NOT NULL,
  description  MEDIUMBLOB      NOT NULL,
  notes        MEDIUMBLOB      NOT NULL,
  tags         MEDIUMBLOB      NOT NULL,
  parent_id    BIGINT          NOT NULL,
  parent_step  BIGINT          NOT NULL,
  created_at   BIGINT          NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT runs_name UNIQUE (project_id, name),
  CONSTRAINT runs_sweep UNIQUE (sweep_id, id),
  CONSTRAINT runs_parent UNIQUE (parent_id, id),
  FOREIGN KEY (project_id) REFERENCES projects (id)
);

-- What changes while a run lives. rev grows with every change that a reader could see.
CREATE TABLE IF NOT EXISTS run_live (
  run_id       BIGINT   NOT NULL,
  project_id   BIGINT   NOT NULL,
  state        SMALLINT NOT NULL,
  exit_code    INTEGER  NOT NULL,
  stopping     BOOLEAN  NOT NULL,
  heartbeat_at BIGINT   NOT NULL,
  rev          BIGINT   NOT NULL,
  PRIMARY KEY (run_id),
  CONSTRAINT run_live_project UNIQUE (project_id, run_id),
  CONSTRAINT run_live_state UNIQUE (state, run_id)
);

CREATE TABLE IF NOT EXISTS run_config (
  run_id BIGINT     NOT NULL,
  body   MEDIUMBLOB NOT NULL,
  PRIMARY KEY (run_id)
);

-- One row per process that logs into the run. stamp is the time that the summary's line carries.
CREATE TABLE IF NOT EXISTS run_summary (
  run_id BIGINT         NOT NULL,
  writer VARBINARY(128) NOT NULL,
  stamp  BIGINT         NOT NULL,
  body   MEDIUMBLOB     NOT NULL,
  PRIMARY KEY (run_id, writer)
);

-- generation grows when stored lines were overwritten or cut off: what was computed from an older one is void.
CREATE TABLE IF NOT EXISTS stream_heads (
  run_id     BIGINT         NOT NULL,
  stream     SMALLINT       NOT NULL,
  writer     VARBINARY(128) NOT NULL,
  next_line  BIGINT         NOT NULL,
  base_line  BIGINT         NOT NULL,
  last_seq   BIGINT         NOT NULL,
  max_step   BIGINT         NOT NULL,
  generation BIGINT         NOT NULL,
  PRIMARY KEY (run_id, stream, writer)
);

CREATE TABLE IF NOT EXISTS chunks (
  run_id     BIGINT         NOT NULL,
  stream     SMALLINT       NOT NULL,
  writer     VARBINARY(128) NOT NULL,
  seq        BIGINT         NOT NULL,
  first_line BIGINT         NOT NULL,
  n          INTEGER        NOT NULL,
  min_step   BIGINT         NOT NULL,
  max_step   BIGINT         NOT NULL,
  hash       VARBINARY(32)  NOT NULL,
  stats      MEDIUMBLOB     NOT NULL,
  body       MEDIUMBLOB     NOT NULL,
  PRIMARY KEY (run_id, stream, writer, seq)
);
