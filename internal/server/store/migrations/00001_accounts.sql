-- +goose Up

CREATE TABLE IF NOT EXISTS users (
  id            BIGINT          NOT NULL,
  username      VARBINARY(128)  NOT NULL,
  username_key  VARBINARY(128)  NOT NULL,
  email         VARBINARY(254)  NOT NULL,
  email_key     VARBINARY(254)  NOT NULL,
  name          VARBINARY(1024) NOT NULL,
  admin         BOOLEAN         NOT NULL,
  password_hash VARBINARY(255)  NOT NULL,
  created_at    BIGINT          NOT NULL,
  deleted_at    BIGINT          NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT users_username UNIQUE (username_key),
  CONSTRAINT users_email UNIQUE (email_key)
);

CREATE TABLE IF NOT EXISTS entities (
  id         BIGINT         NOT NULL,
  name       VARBINARY(128) NOT NULL,
  name_key   VARBINARY(128) NOT NULL,
  user_id    BIGINT         NOT NULL,
  created_at BIGINT         NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT entities_name UNIQUE (name_key),
  CONSTRAINT entities_user UNIQUE (user_id, id)
);

CREATE TABLE IF NOT EXISTS api_keys (
  id           BIGINT          NOT NULL,
  user_id      BIGINT          NOT NULL,
  hash         VARBINARY(32)   NOT NULL,
  name         VARBINARY(32)   NOT NULL,
  description  VARBINARY(1024) NOT NULL,
  created_at   BIGINT          NOT NULL,
  last_used_at BIGINT          NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT api_keys_hash UNIQUE (hash),
  CONSTRAINT api_keys_user UNIQUE (user_id, id),
  FOREIGN KEY (user_id) REFERENCES users (id)
);

CREATE TABLE IF NOT EXISTS sessions (
  token_hash VARBINARY(32) NOT NULL,
  user_id    BIGINT        NOT NULL,
  created_at BIGINT        NOT NULL,
  expires_at BIGINT        NOT NULL,
  PRIMARY KEY (token_hash),
  CONSTRAINT sessions_user UNIQUE (user_id, token_hash),
  CONSTRAINT sessions_expiry UNIQUE (expires_at, token_hash),
  FOREIGN KEY (user_id) REFERENCES users (id)
);

-- A row here is a thing that may happen once, such as making the first administrator.
CREATE TABLE IF NOT EXISTS claims (
  name       VARBINARY(64) NOT NULL,
  claimed_at BIGINT        NOT NULL,
  PRIMARY KEY (name)
);
