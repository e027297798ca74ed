package store

import "strings"

// upsertSyntax is how a database replaces columns of a row that exists.
type upsertSyntax int

const (
	onConflict upsertSyntax = iota
	onDuplicateKey
)

func (s *Store) upsert() upsertSyntax {
	if s.Engine() == "mysql" {
		return onDuplicateKey
	}
	return onConflict
}

// locking is what a query ends with that locks the rows which it reads. SQLite has one writer at a time.
func (s *Store) locking() string {
	if s.Engine() == "mysql" {
		return " FOR UPDATE"
	}
	return ""
}

// lockingFree ends a SELECT as locking does, but leaves out rows that another transaction holds.
func (s *Store) lockingFree() string {
	if s.Engine() == "mysql" {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// tail ends an INSERT: where a row with this key exists, its columns are replaced.
func (u upsertSyntax) tail(key string, columns ...string) string {
	var b strings.Builder
	if u == onDuplicateKey {
		b.WriteString(" ON DUPLICATE KEY UPDATE ")
	} else {
		b.WriteString(" ON CONFLICT (" + key + ") DO UPDATE SET ")
	}
	for i, column := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		if u == onDuplicateKey {
			b.WriteString(column + " = VALUES(" + column + ")")
		} else {
			b.WriteString(column + " = excluded." + column)
		}
	}
	return b.String()
}
