package quota

import (
	"database/sql"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

func TestCheck(t *testing.T) {
	own := func(bytes int64) sql.NullInt64 { return sql.NullInt64{Int64: bytes, Valid: true} }
	for sentence, test := range map[string]struct {
		used      int64
		own       sql.NullInt64
		byDefault int64
		full      bool
	}{
		"nothing is limited":                           {used: math.MaxInt64},
		"nothing is stored":                            {byDefault: 1},
		"a byte less than the default":                 {used: 99, byDefault: 100},
		"all of the default":                           {used: 100, byDefault: 100, full: true},
		"more than the default":                        {used: 101, byDefault: 100, full: true},
		"a larger quota of its own":                    {used: 101, byDefault: 100, own: own(200)},
		"a smaller quota of its own":                   {used: 50, byDefault: 100, own: own(50), full: true},
		"a quota of its own and no default":            {used: 50, own: own(50), full: true},
		"no limit of its own, whatever the default is": {used: math.MaxInt64, byDefault: 100, own: own(0)},
	} {
		third := test.used / 3
		e := store.EntityStorage{
			EntityUsage: store.EntityUsage{Files: third, Artifacts: third, History: test.used - 2*third}, Name: "ml", Quota: test.own,
		}
		err := check(e, test.byDefault)
		var exceeded *ExceededError
		if errors.As(err, &exceeded) != test.full || (err != nil) != test.full {
			t.Errorf("%s: %v", sentence, err)
		}
		if !test.full {
			continue
		}
		for _, want := range []string{"ml", Size(test.used), "Delete runs or artifacts", "server admin quota set ml "} {
			if !strings.Contains(fault.Message(err), want) {
				t.Errorf("%s: %q does not say %q", sentence, fault.Message(err), want)
			}
		}
		if fault.Reason(err, "") != ReasonExceeded || fault.Retryable(err) {
			t.Errorf("%s: reason %s, to be tried again %t", sentence, fault.Reason(err, ""), fault.Retryable(err))
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "500Gi": 500 << 30, " 500 GiB ": 500 << 30, "2T": 2_000_000_000_000, "1.5Ki": 1536, "10m": 10_000_000, "7Ei": 7 << 60,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "none", "-1", "-1Gi", "5 apples", "8Ei", "16Ei", "1e400", "NaN", "Inf", "0x10", "1Gi1"} {
		if got, err := ParseSize(text); fault.Reason(err, "") != ReasonInvalid || fault.Hint(err) == "" {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
}

func TestEntitiesWithAQuotaAreMeasuredMoreOften(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for sentence, test := range map[string]struct {
		own       sql.NullInt64
		byDefault int64
		ago       time.Duration
		never     bool
		due       bool
	}{
		"a quota of its own":             {own: sql.NullInt64{Int64: 1, Valid: true}, due: true},
		"the default quota":              {byDefault: 1, due: true},
		"none, just measured":            {ago: time.Minute},
		"none, measured long ago":        {ago: restInterval, due: true},
		"none, never measured":           {never: true, due: true},
		"none of its own, just measured": {own: sql.NullInt64{Valid: true}, byDefault: 1, ago: time.Minute},
	} {
		s := &Service{cfg: Config{Default: test.byDefault, Now: func() time.Time { return now }}}
		e := store.EntityStorage{Quota: test.own}
		if !test.never {
			e.MeasuredAt = store.At(now.Add(-test.ago))
		}
		if due := s.due(e); due != test.due {
			t.Errorf("%s: due %t", sentence, due)
		}
	}
}
