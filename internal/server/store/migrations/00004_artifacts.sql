-- +goose Up

CREATE TABLE IF NOT EXISTS artifact_types (
  id          BIGINT         NOT NULL,
  project_id  BIGINT         NOT NULL,
  name        VARBINARY(128) NOT NULL,
  description MEDIUMBLOB     NOT NULL,
  created_at  BIGINT         NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT artifact_types_name UNIQUE (project_id, name)
);

-- kind: 0 a sequence, whose versions were made in it; 1 a portfolio, whose versions are linked from sequences.
-- next_index is the version that the next one gets; versions that were deleted are not given again.
CREATE TABLE IF NOT EXISTS artifact_collections (
  id          BIGINT         NOT NULL,
  project_id  BIGINT         NOT NULL,
  type_id     BIGINT         NOT NULL,
  kind        SMALLINT       NOT NULL,
  name        VARBINARY(128) NOT NULL,
  description MEDIUMBLOB     NOT NULL,
  next_index  BIGINT         NOT NULL,
  created_at  BIGINT         NOT NULL,
  updated_at  BIGINT         NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT artifact_collections_name UNIQUE (project_id, name),
  CONSTRAINT artifact_collections_project UNIQUE (project_id, id),
  CONSTRAINT artifact_collections_type UNIQUE (type_id, id)
);

-- state: 0 pending, 1 committed, 2 deleted, 3 deleted and its contents freed.
-- version_index is -1 until the version is committed. expires_at is 0 for never.
CREATE TABLE IF NOT EXISTS artifacts (
  id            BIGINT         NOT NULL,
  entity_id     BIGINT         NOT NULL,
  project_id    BIGINT         NOT NULL,
  collection_id BIGINT         NOT NULL,
  state         SMALLINT       NOT NULL,
  version_index BIGINT         NOT NULL,
  digest        VARBINARY(128) NOT NULL,
  description   MEDIUMBLOB     NOT NULL,
  metadata      MEDIUMBLOB     NOT NULL,
  wishes        MEDIUMBLOB     NOT NULL,
  commit_hash   VARBINARY(256) NOT NULL,
  history_step  BIGINT         NOT NULL,
  ttl_seconds   BIGINT         NOT NULL,
  expires_at    BIGINT         NOT NULL,
  size          BIGINT         NOT NULL,
  file_count    BIGINT         NOT NULL,
  manifest_id   BIGINT         NOT NULL,
  run_id        BIGINT         NOT NULL,
  user_id       BIGINT         NOT NULL,
  created_at    BIGINT         NOT NULL,
  updated_at    BIGINT         NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT artifacts_digest UNIQUE (collection_id, digest, id),
  CONSTRAINT artifacts_project UNIQUE (project_id, id),
  CONSTRAINT artifacts_state UNIQUE (state, id),
  CONSTRAINT artifacts_expiry UNIQUE (expires_at, id)
);

-- A version's place in a collection: one in its own sequence, from its commit on, and one for each portfolio.
CREATE TABLE IF NOT EXISTS artifact_memberships (
  id            BIGINT NOT NULL,
  collection_id BIGINT NOT NULL,
  artifact_id   BIGINT NOT NULL,
  version_index BIGINT NOT NULL,
  created_at    BIGINT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT artifact_memberships_version UNIQUE (collection_id, version_index),
  CONSTRAINT artifact_memberships_artifact UNIQUE (artifact_id, collection_id)
);

CREATE TABLE IF NOT EXISTS artifact_aliases (
  id            BIGINT         NOT NULL,
  collection_id BIGINT         NOT NULL,
  artifact_id   BIGINT         NOT NULL,
  alias         VARBINARY(128) NOT NULL,
  created_at    BIGINT         NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT artifact_aliases_alias UNIQUE (collection_id, alias),
  CONSTRAINT artifact_aliases_artifact UNIQUE (artifact_id, collection_id, alias)
);

-- holder is the id of a version or of a collection: ids are drawn from one source.
CREATE TABLE IF NOT EXISTS artifact_tags (
  id         BIGINT         NOT NULL,
  holder_id  BIGINT         NOT NULL,
  name       VARBINARY(128) NOT NULL,
  created_at BIGINT         NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT artifact_tags_name UNIQUE (holder_id, name)
);

-- The ids that clients give to versions and sequences before the server has one. Somebody else may have used the same.
CREATE TABLE IF NOT EXISTS artifact_clients (
  client_id VARBINARY(128) NOT NULL,
  holder_id BIGINT         NOT NULL,
  kind      SMALLINT       NOT NULL,
  PRIMARY KEY (client_id, holder_id),
  CONSTRAINT artifact_clients_holder UNIQUE (holder_id, client_id)
);

-- The pending version that many processes write together.
CREATE TABLE IF NOT EXISTS artifact_groups (
  collection_id  BIGINT         NOT NULL,
  distributed_id VARBINARY(255) NOT NULL,
  artifact_id    BIGINT         NOT NULL,
  PRIMARY KEY (collection_id, distributed_id),
  CONSTRAINT artifact_groups_artifact UNIQUE (artifact_id)
);

-- direction: 0 the run made the version, 1 the run used it.
CREATE TABLE IF NOT EXISTS artifact_edges (
  run_id      BIGINT         NOT NULL,
  direction   SMALLINT       NOT NULL,
  artifact_id BIGINT         NOT NULL,
  used_as     VARBINARY(255) NOT NULL,
  created_at  BIGINT         NOT NULL,
  PRIMARY KEY (run_id, direction, artifact_id),
  CONSTRAINT artifact_edges_artifact UNIQUE (artifact_id, direction, run_id)
);

-- kind: 0 the whole manifest, 1 what changes against a base, 2 a part by one of several processes, 3 merged by us.
CREATE TABLE IF NOT EXISTS artifact_manifests (
  id          BIGINT         NOT NULL,
  artifact_id BIGINT         NOT NULL,
  kind        SMALLINT       NOT NULL,
  base_id     BIGINT         NOT NULL,
  name        VARBINARY(255) NOT NULL,
  digest      VARBINARY(128) NOT NULL,
  created_at  BIGINT         NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT artifact_manifests_artifact UNIQUE (artifact_id, id)
);

-- The bytes of a project's versions, each MD5 once. refs counts the committed versions that hold it; ready means that a
-- commit has seen the object. The object's key holds birth and id, so that one which comes after a deletion has another.
-- A row whose object is being deleted has refs -1, and its id behind the MD5, which frees that for a new row.
CREATE TABLE IF NOT EXISTS artifact_contents (
  id         BIGINT        NOT NULL,
  project_id BIGINT        NOT NULL,
  entity_id  BIGINT        NOT NULL,
  birth_id   BIGINT        NOT NULL,
  md5        VARBINARY(24) NOT NULL,
  ready      BOOLEAN       NOT NULL,
  refs       BIGINT        NOT NULL,
  touched_at BIGINT        NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT artifact_contents_md5 UNIQUE (project_id, md5)
);

-- Work that one replica does at a time.
CREATE TABLE IF NOT EXISTS artifact_leases (
  name       VARBINARY(64) NOT NULL,
  holder     BIGINT        NOT NULL,
  expires_at BIGINT        NOT NULL,
  PRIMARY KEY (name)
);
