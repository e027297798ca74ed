package store

import (
	"context"
	"os"
	"strings"
)

// MigrateTo brings an empty database to an older level and fills it with what that level's program wrote.
func (s *Store) MigrateTo(ctx context.Context, level int64, rows string) error {
	if err := s.Prepare(ctx, false); err != nil {
		return err
	}
	provider, err := s.provider()
	if err != nil {
		return err
	}
	if _, err := provider.UpTo(ctx, level); err != nil {
		return err
	}
	return s.fill(ctx, rows)
}

func (s *Store) fill(ctx context.Context, rows string) error {
	text, err := os.ReadFile(rows)
	if err != nil {
		return err
	}
	for _, statement := range strings.Split(strings.TrimSpace(withoutComments(string(text))), ";\n") {
		if _, err := s.pools.Load().write.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func withoutComments(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "--") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// Newer leaves a database as a newer program does that has brought it to a level, and has stated, where it does, who can read
// what it makes of it.
func (s *Store) Newer(ctx context.Context, applied, level, readableBy int64, stated bool) error {
	db := s.pools.Load().write
	if schema, err := s.Schema(ctx); err != nil || applied > schema.Applied {
		if err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, ?)", applied, true); err != nil {
			return err
		}
	}
	if !stated {
		return nil
	}
	_, err := db.NewInsert().Model(&schemaLevel{Level: level, ReadableBy: readableBy}).Ignore().Exec(ctx)
	return err
}

// Insert writes rows as they are.
func (s *Store) Insert(ctx context.Context, rows ...any) error {
	for _, row := range rows {
		if _, err := s.pools.Load().write.NewInsert().Model(row).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
