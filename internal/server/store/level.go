package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/uptrace/bun"
	"modernc.org/sqlite"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// ReadableBy is the oldest level whose programs can work on a database as this program leaves it. The chart states the same.
// A migration that only adds leaves it; one that renames or removes raises it to its own number.
const ReadableBy = 1

// ReasonSchemaTooNew is the reason why this program does not work on a database that a newer one has changed.
const ReasonSchemaTooNew = "SchemaTooNew"

// schemaLevel is a row of schema_levels: what a program said before it brought the database to its level. The table is made
// by the program and not by a migration, since older ones must find it whatever happened to the migrations.
type schemaLevel struct {
	bun.BaseModel `bun:"table:schema_levels"`

	Level      int64 `bun:"level,pk"`
	ReadableBy int64 `bun:"readable_by,notnull"`
}

// stateLevel says who can work on a database of a level, before it is brought there.
func (s *Store) stateLevel(ctx context.Context, level int64) error {
	db := s.pools.Load().write
	if _, err := db.NewCreateTable().Model((*schemaLevel)(nil)).IfNotExists().Exec(ctx); err != nil {
		return fmt.Errorf("make the table of schema levels: %w", err)
	}
	if _, err := db.NewInsert().Model(&schemaLevel{Level: level, ReadableBy: ReadableBy}).Ignore().Exec(ctx); err != nil {
		return fmt.Errorf("state the schema level: %w", err)
	}
	return nil
}

// readableBy is the oldest level whose programs can work on a database where a level is applied. Of a level that nobody has
// stated anything about only its own programs can.
func (s *Store) readableBy(ctx context.Context, applied int64) (int64, error) {
	var newest, oldest sql.NullInt64
	err := s.pools.Load().read.NewSelect().Model((*schemaLevel)(nil)).ColumnExpr("MAX(level)").ColumnExpr("MAX(readable_by)").
		Scan(ctx, &newest, &oldest)
	if err != nil && !isMissingTable(err) {
		return 0, classify("read the schema levels", err)
	}
	if newest.Int64 < applied {
		return max(applied, oldest.Int64), nil
	}
	return oldest.Int64, nil
}

const mysqlNoSuchTable = 1146

func isMissingTable(err error) bool {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return my.Number == mysqlNoSuchTable
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && strings.Contains(lite.Error(), "no such table")
}

// readable fails where a newer program has left the database so that this one cannot work on it.
func (schema Schema) readable() error {
	if schema.ReadableBy <= schema.Wanted {
		return nil
	}
	return &fault.Error{
		Reason: ReasonSchemaTooNew,
		Op: fmt.Sprintf("check the database: its schema %d needs a program of schema %d or later, and this one has %d",
			max(schema.Applied, schema.ReadableBy), schema.ReadableBy, schema.Wanted),
		Hint: "Run the newer release again, or restore a backup of database and bucket from before its upgrade.",
	}
}
