package store

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Text is a string in a VARBINARY column. It travels as bytes in both directions, since SQLite would store a string that
// looks like a number as that number.
type Text string

// Value returns the bytes of the text.
func (t Text) Value() (driver.Value, error) { return []byte(t), nil }

// Scan reads bytes.
func (t *Text) Scan(src any) error {
	switch v := src.(type) {
	case []byte:
		*t = Text(v)
	case string:
		*t = Text(v)
	default:
		return fmt.Errorf("read a text column: unexpected %T", src)
	}
	return nil
}

// Micros is a time in a BIGINT column: microseconds since 1970, and 0 for "never".
type Micros int64

// At converts a time; the zero time is "never".
func At(t time.Time) Micros {
	if t.IsZero() {
		return 0
	}
	return Micros(t.UnixMicro())
}

// Time converts back; "never" is the zero time.
func (m Micros) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(m)).UTC()
}
