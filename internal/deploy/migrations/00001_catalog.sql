-- +goose Up
CREATE TABLE channels (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    inherits_from TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE charts (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    metadata BLOB NOT NULL,
    size INTEGER NOT NULL,
    content BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT;

CREATE TABLE releases (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    document BLOB NOT NULL,
    content_digest TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT;

CREATE TABLE promotions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id TEXT NOT NULL REFERENCES channels (id),
    release_id TEXT NOT NULL REFERENCES releases (id),
    promoted_at INTEGER NOT NULL,
    promoted_by TEXT NOT NULL
) STRICT;

CREATE INDEX promotions_by_channel ON promotions (channel_id, sequence);

CREATE TABLE licenses (
    id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    channel TEXT NOT NULL,
    entitlements BLOB NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL DEFAULT 0,
    revoked_by TEXT NOT NULL DEFAULT '',
    revoked_reason TEXT NOT NULL DEFAULT ''
) STRICT;

-- +goose Down
DROP TABLE licenses;
DROP TABLE promotions;
DROP TABLE releases;
DROP TABLE charts;
DROP TABLE channels;
