package helm

import (
	"sync"
	"time"

	"k8s.io/client-go/discovery"
)

// discoveryAge is how old the list of APIs may be when a kind is missing from it. client-go's cache calls itself fresh
// for ever, so that a kind that was installed after the first look would never be found; and a chart with a misspelt kind
// must not fetch the list with every pass.
const discoveryAge = 2 * time.Second

// agingDiscovery makes the REST mapper look again when it misses a kind.
type agingDiscovery struct {
	discovery.CachedDiscoveryInterface
	now func() time.Time

	mu sync.Mutex
	at time.Time
}

// Fresh tells whether looking again would be in vain.
func (d *agingDiscovery) Fresh() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now().Sub(d.at) < discoveryAge && d.CachedDiscoveryInterface.Fresh()
}

// Invalidate makes the next question go to the API server.
func (d *agingDiscovery) Invalidate() {
	d.mu.Lock()
	d.at = d.now()
	d.mu.Unlock()
	d.CachedDiscoveryInterface.Invalidate()
}
