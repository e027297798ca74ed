package quota

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// ReasonExceeded: an entity has no room for another run.
	ReasonExceeded = "QuotaExceeded"
	// ReasonInvalid: a quota is no number of bytes.
	ReasonInvalid = "QuotaInvalid"
)

// ParseSize reads a number of bytes as 500Gi, 500GiB, 2T or 1.5TB: i is for powers of 1024, and case does not matter.
func ParseSize(text string) (int64, error) {
	bytes, err := humanize.ParseBytes(strings.TrimSpace(text))
	if err == nil && bytes > math.MaxInt64 {
		err = errors.New("it is larger than any disk")
	}
	if err != nil {
		return 0, &fault.Error{
			Reason: ReasonInvalid, Op: fmt.Sprintf("%q is no number of bytes", text), Err: err,
			Hint: "Write it as 500Gi, 2T or 1.5TiB; 0 means no limit.",
		}
	}
	return int64(bytes), nil
}

// Size is a number of bytes for people.
func Size(bytes int64) string { return humanize.IBytes(uint64(max(0, bytes))) }

// limit is the quota that holds for an entity, in bytes; 0 for none.
func limit(e store.EntityStorage, byDefault int64) int64 {
	if e.Quota.Valid {
		return e.Quota.Int64
	}
	return byDefault
}

// check fails with an ExceededError where an entity has no room for another run.
func check(e store.EntityStorage, byDefault int64) error {
	if quota := limit(e, byDefault); quota > 0 && e.Used() >= quota {
		return exceeded(string(e.Name), e.Used(), quota)
	}
	return nil
}

// ExceededError tells that an entity has no room for another run.
type ExceededError struct {
	Entity      string
	Used, Quota int64
	fault       *fault.Error
}

// Error names the entity, what it stores and what it may store.
func (e *ExceededError) Error() string { return e.fault.Error() }

// Unwrap returns the fault, with its reason and hint.
func (e *ExceededError) Unwrap() error { return e.fault }

func exceeded(entity string, used, quota int64) error {
	return &ExceededError{Entity: entity, Used: used, Quota: quota, fault: &fault.Error{
		Reason: ReasonExceeded,
		Op:     fmt.Sprintf("no new run begins: the storage quota of %s is used up, %s of %s", entity, Size(used), Size(quota)),
		Hint: fmt.Sprintf("Delete runs or artifacts of %s, which counts some minutes later, or ask an administrator for more room: "+
			"server admin quota set %s SIZE, with a size such as 500Gi. Runs that have begun go on; an offline run can be synced when there is room.",
			entity, entity),
	}}
}
