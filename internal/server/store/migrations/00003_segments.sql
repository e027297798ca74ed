-- +goose Up

-- What compaction made of chunks: one object in the bucket, which several runs may refer to after a fork. Rows above
-- cut_step and lines in dead are no longer part of the run. footer is that of the object; empty where it is too large.
CREATE TABLE IF NOT EXISTS segments (
  run_id     BIGINT         NOT NULL,
  stream     SMALLINT       NOT NULL,
  writer     VARBINARY(128) NOT NULL,
  object_id  BIGINT         NOT NULL,
  object_run BIGINT         NOT NULL,
  size       BIGINT         NOT NULL,
  footer_at  BIGINT         NOT NULL,
  first_line BIGINT         NOT NULL,
  next_line  BIGINT         NOT NULL,
  line_count BIGINT         NOT NULL,
  min_step   BIGINT         NOT NULL,
  max_step   BIGINT         NOT NULL,
  cut_step   BIGINT         NOT NULL,
  dead       MEDIUMBLOB     NOT NULL,
  footer     MEDIUMBLOB     NOT NULL,
  PRIMARY KEY (run_id, stream, writer, object_id),
  CONSTRAINT segments_object UNIQUE (object_id, run_id, stream, writer)
);

-- Objects that are deleted once drop_at has passed, unless a segment refers to them. One that is being written stands
-- here until its segment does, so that a program that dies in between leaves nothing behind.
CREATE TABLE IF NOT EXISTS dropped_objects (
  object_id  BIGINT NOT NULL,
  object_run BIGINT NOT NULL,
  drop_at    BIGINT NOT NULL,
  PRIMARY KEY (object_id),
  CONSTRAINT dropped_objects_due UNIQUE (drop_at, object_id)
);

-- Who compacts a run, and until when nobody else does.
CREATE TABLE IF NOT EXISTS compaction_leases (
  run_id     BIGINT NOT NULL,
  holder     BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (run_id)
);
