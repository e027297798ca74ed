-- +goose Up

-- What is known of a user beyond the account itself. A user without a row is an active person.
CREATE TABLE IF NOT EXISTS profiles (
  user_id           BIGINT         NOT NULL,
  kind              SMALLINT       NOT NULL,
  team_id           BIGINT         NOT NULL,
  default_entity_id BIGINT         NOT NULL,
  disabled_at       BIGINT         NOT NULL,
  external_id       VARBINARY(255) NOT NULL,
  login_name        VARBINARY(254) NOT NULL,
  login_key         VARBINARY(254) NOT NULL,
  key_for           BIGINT         NOT NULL,
  key_until         BIGINT         NOT NULL,
  PRIMARY KEY (user_id),
  CONSTRAINT profiles_team UNIQUE (team_id, user_id),
  CONSTRAINT profiles_external UNIQUE (external_id, user_id),
  CONSTRAINT profiles_login UNIQUE (login_key, user_id),
  FOREIGN KEY (user_id) REFERENCES users (id)
);

-- An organisation holds teams, and has an entity of its own for what they share.
CREATE TABLE IF NOT EXISTS organizations (
  id         BIGINT         NOT NULL,
  name       VARBINARY(128) NOT NULL,
  name_key   VARBINARY(128) NOT NULL,
  entity_id  BIGINT         NOT NULL,
  created_at BIGINT         NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT organizations_name UNIQUE (name_key),
  CONSTRAINT organizations_entity UNIQUE (entity_id),
  FOREIGN KEY (entity_id) REFERENCES entities (id)
);

CREATE TABLE IF NOT EXISTS teams (
  entity_id       BIGINT         NOT NULL,
  organization_id BIGINT         NOT NULL,
  external_id     VARBINARY(255) NOT NULL,
  PRIMARY KEY (entity_id),
  CONSTRAINT teams_organization UNIQUE (organization_id, entity_id),
  CONSTRAINT teams_external UNIQUE (external_id, entity_id),
  FOREIGN KEY (entity_id) REFERENCES entities (id),
  FOREIGN KEY (organization_id) REFERENCES organizations (id)
);

-- Who belongs to a team, or to the entity of an organisation.
CREATE TABLE IF NOT EXISTS members (
  entity_id BIGINT   NOT NULL,
  user_id   BIGINT   NOT NULL,
  role      SMALLINT NOT NULL,
  joined_at BIGINT   NOT NULL,
  PRIMARY KEY (entity_id, user_id),
  CONSTRAINT members_user UNIQUE (user_id, entity_id),
  FOREIGN KEY (entity_id) REFERENCES entities (id),
  FOREIGN KEY (user_id) REFERENCES users (id)
);

-- Somebody who has no account yet and will be of a team.
CREATE TABLE IF NOT EXISTS invitations (
  id         BIGINT         NOT NULL,
  entity_id  BIGINT         NOT NULL,
  email      VARBINARY(254) NOT NULL,
  email_key  VARBINARY(254) NOT NULL,
  role       SMALLINT       NOT NULL,
  token_hash VARBINARY(32)  NOT NULL,
  invited_by BIGINT         NOT NULL,
  created_at BIGINT         NOT NULL,
  expires_at BIGINT         NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT invitations_email UNIQUE (email_key, entity_id),
  CONSTRAINT invitations_entity UNIQUE (entity_id, id),
  CONSTRAINT invitations_token UNIQUE (token_hash),
  FOREIGN KEY (entity_id) REFERENCES entities (id)
);

-- Who a user is at an identity provider. issuer_hash stands for the issuer, whose URL is too long for an index.
CREATE TABLE IF NOT EXISTS identities (
  issuer_hash VARBINARY(32)   NOT NULL,
  subject     VARBINARY(255)  NOT NULL,
  user_id     BIGINT          NOT NULL,
  issuer      VARBINARY(2048) NOT NULL,
  created_at  BIGINT          NOT NULL,
  PRIMARY KEY (issuer_hash, subject),
  CONSTRAINT identities_user UNIQUE (user_id, issuer_hash, subject),
  FOREIGN KEY (user_id) REFERENCES users (id)
);
