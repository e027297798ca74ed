-- +goose Up

-- drawn counts what was ever suggested: its value before a draw is the index of what is drawn.
CREATE TABLE IF NOT EXISTS sweeps (
  id           BIGINT          NOT NULL,
  project_id   BIGINT          NOT NULL,
  name         VARBINARY(128)  NOT NULL,
  user_id      BIGINT          NOT NULL,
  state        SMALLINT        NOT NULL,
  method       VARBINARY(32)   NOT NULL,
  display_name VARBINARY(1024) NOT NULL,
  description  MEDIUMBLOB      NOT NULL,
  config       MEDIUMBLOB      NOT NULL,
  controller   MEDIUMBLOB      NOT NULL,
  scheduler    MEDIUMBLOB      NOT NULL,
  drawn        BIGINT          NOT NULL,
  created_at   BIGINT          NOT NULL,
  updated_at   BIGINT          NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT sweeps_name UNIQUE (project_id, name),
  CONSTRAINT sweeps_project UNIQUE (project_id, id)
);

CREATE TABLE IF NOT EXISTS sweep_agents (
  id           BIGINT          NOT NULL,
  sweep_id     BIGINT          NOT NULL,
  user_id      BIGINT          NOT NULL,
  host         VARBINARY(1024) NOT NULL,
  created_at   BIGINT          NOT NULL,
  heartbeat_at BIGINT          NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT sweep_agents_sweep UNIQUE (sweep_id, id)
);

-- What was drawn, and who runs it. A settled one is never offered again; an offered one that its agent never spoke of is.
CREATE TABLE IF NOT EXISTS sweep_suggestions (
  sweep_id   BIGINT         NOT NULL,
  draw       BIGINT         NOT NULL,
  agent_id   BIGINT         NOT NULL,
  run_name   VARBINARY(128) NOT NULL,
  args       MEDIUMBLOB     NOT NULL,
  offers     INTEGER        NOT NULL,
  seen       BOOLEAN        NOT NULL,
  settled    BOOLEAN        NOT NULL,
  created_at BIGINT         NOT NULL,
  PRIMARY KEY (sweep_id, draw),
  CONSTRAINT sweep_suggestions_agent UNIQUE (agent_id, sweep_id, draw),
  CONSTRAINT sweep_suggestions_open UNIQUE (sweep_id, settled, draw)
);
