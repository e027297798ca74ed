package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// ErrNotFound tells that no row answers the question. The caller decides whether that is a failure.
var ErrNotFound = errors.New("no such row")

// ErrDuplicate tells that a row with the same unique value exists already, and that nothing was written.
var ErrDuplicate = errors.New("a row with this value exists already")

// ReasonUnavailable is the reason of every failure of the database itself: it may pass, and the caller answers "try later".
const ReasonUnavailable = "DatabaseUnavailable"

// MySQL's numbers of the failures that have a meaning here.
const (
	mysqlDuplicateEntry  = 1062
	mysqlLockWaitTimeout = 1205
	mysqlDeadlock        = 1213
)

// classify turns a driver's error into ErrNotFound, ErrDuplicate or a fault that says what was being done.
func classify(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows), errors.Is(err, ErrNotFound):
		return fmt.Errorf("%s: %w", op, ErrNotFound)
	case errors.Is(err, ErrNotFirst), errors.Is(err, ErrHasAliases), errors.Is(err, ErrHasProjects), errors.Is(err, ErrContentGone), errors.Is(err, ErrRunDeleted), errors.Is(err, errRaced), errors.Is(err, ErrMoved):
		return err
	case isDuplicate(err):
		return fmt.Errorf("%s: %w", op, ErrDuplicate)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", op, err)
	case fault.Reason(err, "") != "": // a rule refused inside of the transaction
		return err
	}
	return &fault.Error{
		Reason: ReasonUnavailable, Op: op, Retry: true, Err: err,
		Hint: "Ask the server why with GET /ready.",
	}
}

func isDuplicate(err error) bool {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return my.Number == mysqlDuplicateEntry
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// mayRepeat tells whether a transaction was undone for no fault of its own, so that running it again is right.
func mayRepeat(err error) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my) && (my.Number == mysqlDeadlock || my.Number == mysqlLockWaitTimeout)
}

// IsRefusal tells whether the database works and has refused a statement: a transaction of other rows may succeed.
func IsRefusal(err error) bool {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return !mayRepeat(err)
	}
	var lite *sqlite.Error
	if !errors.As(err, &lite) {
		return false
	}
	switch lite.Code() & 0xff { // without what extends the code
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE:
		return true
	}
	return false
}
