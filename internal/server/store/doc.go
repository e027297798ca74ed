// Package store keeps what W&B Server must not lose in one SQL database: SQLite on a volume, or MySQL 8.
//
// Both are spoken to through one query layer and one set of migrations. What makes that possible holds for every table:
// names and keys are VARBINARY (collations pad, fold and differ), times are integer microseconds since 1970 with 0 for
// "never", ids are made by the program, and a write is on stable storage before the call that made it returns.
//
// The package holds rows and queries, no rules: who may do what, and what a valid name is, is decided by its callers.
package store
