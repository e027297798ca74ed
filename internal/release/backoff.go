package release

import (
	"hash/fnv"
	"strconv"
	"time"
)

// The schedules of what is tried again. Each doubles from base to cap.
const (
	// A failed revision may have run hooks against data: a minute lets a person look before the next.
	failureBase, failureCap = time.Minute, time.Hour
	// An attempt that wrote nothing costs little: a chart repository is often back within seconds.
	attemptBase, attemptCap = 5 * time.Second, 10 * time.Minute
	// A deletion is waited for by a person.
	uninstallCap = time.Minute
	// Somebody else's revision is overruled at once, then ever more slowly.
	foreignBase, foreignCap = 30 * time.Second, 6 * time.Hour
)

// backoff returns how long to wait after the count-th event in a row: doubled each time, capped, and spread by up to a
// fifth so that a fleet does not move in step. The spread depends on key and count alone, which keeps Decide pure.
func backoff(key string, count int, base, limit time.Duration) time.Duration {
	if count <= 0 {
		return 0
	}
	wait := base
	for range count - 1 {
		if wait >= limit {
			break
		}
		wait *= 2
	}
	wait = min(wait, limit)
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(key + "/" + strconv.Itoa(count)))
	spread := time.Duration(hash.Sum32()%1000) * (wait / 5) / 1000
	return wait - wait/10 + spread
}
