-- +goose Up

-- Names of runs that were deleted. A client that still logs into one must hear so, and not begin it again.
CREATE TABLE IF NOT EXISTS run_graves (
  project_id BIGINT         NOT NULL,
  name       VARBINARY(128) NOT NULL,
  run_id     BIGINT         NOT NULL,
  deleted_at BIGINT         NOT NULL,
  PRIMARY KEY (project_id, name)
);

-- What a deleted run left behind, until the background work has removed it.
CREATE TABLE IF NOT EXISTS run_remains (
  run_id     BIGINT NOT NULL,
  deleted_at BIGINT NOT NULL,
  PRIMARY KEY (run_id)
);

CREATE TABLE IF NOT EXISTS run_files (
  run_id     BIGINT          NOT NULL,
  name       VARBINARY(1024) NOT NULL,
  id         BIGINT          NOT NULL,
  size       BIGINT          NOT NULL,
  md5        VARBINARY(16)   NOT NULL,
  mimetype   VARBINARY(255)  NOT NULL,
  updated_at BIGINT          NOT NULL,
  PRIMARY KEY (run_id, name),
  CONSTRAINT run_files_id UNIQUE (id)
);

CREATE TABLE IF NOT EXISTS run_alerts (
  run_id     BIGINT         NOT NULL,
  id         BIGINT         NOT NULL,
  title      VARBINARY(4096) NOT NULL,
  body       MEDIUMBLOB     NOT NULL,
  severity   VARBINARY(16)  NOT NULL,
  wait_ms    BIGINT         NOT NULL,
  created_at BIGINT         NOT NULL,
  PRIMARY KEY (run_id, id)
);

CREATE TABLE IF NOT EXISTS custom_charts (
  id           BIGINT         NOT NULL,
  entity_id    BIGINT         NOT NULL,
  name         VARBINARY(512) NOT NULL,
  display_name VARBINARY(1024) NOT NULL,
  type         VARBINARY(64)  NOT NULL,
  access       VARBINARY(32)  NOT NULL,
  user_id      BIGINT         NOT NULL,
  spec         MEDIUMBLOB     NOT NULL,
  created_at   BIGINT         NOT NULL,
  updated_at   BIGINT         NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT custom_charts_name UNIQUE (entity_id, name)
);

-- Reports and saved workspaces.
CREATE TABLE IF NOT EXISTS views (
  id            BIGINT          NOT NULL,
  project_id    BIGINT          NOT NULL,
  user_id       BIGINT          NOT NULL,
  name          VARBINARY(512)  NOT NULL,
  display_name  VARBINARY(1024) NOT NULL,
  description   MEDIUMBLOB      NOT NULL,
  type          VARBINARY(64)   NOT NULL,
  created_using VARBINARY(128)  NOT NULL,
  spec          MEDIUMBLOB      NOT NULL,
  created_at    BIGINT          NOT NULL,
  updated_at    BIGINT          NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT views_project UNIQUE (project_id, id)
);

-- Times in which some replica was ready. A run that is silent in between is not thereby crashed.
CREATE TABLE IF NOT EXISTS ready_spans (
  started_at BIGINT NOT NULL,
  ended_at   BIGINT NOT NULL,
  PRIMARY KEY (started_at)
);

-- Work that one replica does for all.
CREATE TABLE IF NOT EXISTS run_duties (
  name       VARBINARY(64)  NOT NULL,
  holder     VARBINARY(64)  NOT NULL,
  expires_at BIGINT         NOT NULL,
  PRIMARY KEY (name)
);
