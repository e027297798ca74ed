-- +goose Up
CREATE TABLE trust_metadata (
    role TEXT NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (role, version)
) STRICT;

CREATE TABLE trust_targets (
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (path, digest)
) STRICT;

-- +goose Down
DROP TABLE trust_targets;
DROP TABLE trust_metadata;
