package account

import (
	"container/list"
	"sync"
	"time"
)

// allowance is how many failed attempts are let through at once, and how soon one more is.
type allowance struct {
	burst  float64
	refill time.Duration
}

var (
	// perAccount lets somebody mistype, and a guesser try 1,440 passwords a day.
	perAccount = allowance{burst: 10, refill: time.Minute}
	// perAddress is wider, since an office may share one address.
	perAddress = allowance{burst: 50, refill: 5 * time.Second}
)

// maxBuckets bounds the memory of attempts to about 4 MB. The one that was used longest ago goes first.
const maxBuckets = 16_384

// attempts counts failed sign-ins by account and by address. An attempt is paid for before the password is checked, so
// that many at once do not slip through, and paid back when it was right.
type attempts struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[string]*list.Element
	recent  *list.List // of *bucket, most recent first
}

type bucket struct {
	key    string
	tokens float64
	at     time.Time
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, buckets: map[string]*list.Element{}, recent: list.New()}
}

// take pays for one attempt. A positive wait means that it is refused, and that nothing was paid.
func (a *attempts) take(account, address string) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	byAccount, byAddress := a.bucket("account "+account, perAccount), a.bucket("address "+address, perAddress)
	wait = max(byAccount.wait(perAccount), byAddress.wait(perAddress))
	if wait > 0 {
		return wait
	}
	byAccount.tokens--
	byAddress.tokens--
	return 0
}

// giveBack pays back an attempt that was right, and forgives the account's earlier ones.
func (a *attempts) giveBack(account, address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bucket("account "+account, perAccount).tokens = perAccount.burst
	byAddress := a.bucket("address "+address, perAddress)
	byAddress.tokens = min(perAddress.burst, byAddress.tokens+1)
}

// bucket returns the bucket of a key, filled up to now.
func (a *attempts) bucket(key string, limit allowance) *bucket {
	now := a.now()
	if element, ok := a.buckets[key]; ok {
		a.recent.MoveToFront(element)
		b := element.Value.(*bucket)
		b.tokens = min(limit.burst, b.tokens+max(0, now.Sub(b.at).Seconds()/limit.refill.Seconds()))
		b.at = now
		return b
	}
	for a.recent.Len() >= maxBuckets {
		oldest := a.recent.Back()
		delete(a.buckets, oldest.Value.(*bucket).key)
		a.recent.Remove(oldest)
	}
	b := &bucket{key: key, tokens: limit.burst, at: now}
	a.buckets[key] = a.recent.PushFront(b)
	return b
}

func (b *bucket) wait(limit allowance) time.Duration {
	if b.tokens >= 1 {
		return 0
	}
	return time.Duration((1 - b.tokens) * float64(limit.refill))
}
