package console

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits of sign-in attempts. The password is 32 random characters unless somebody chose a weak one, so these exist for that
// case, and to keep attempts from loading the Kubernetes API.
const (
	// addressBurst attempts are free for each address, then one every addressEvery.
	addressBurst = 5
	addressEvery = 12 * time.Second
	// All addresses together share these. They are far above what people need, since whoever exhausts them keeps
	// administrators out as well.
	globalBurst = 60
	globalEvery = time.Second / 2
	// addressesKept bounds the memory; the address that was quiet longest is forgotten first.
	addressesKept = 4096
)

// limiter slows down sign-in attempts, per address and in total.
type limiter struct {
	now func() time.Time

	mu        sync.Mutex
	global    *rate.Limiter
	addresses map[netip.Prefix]*list.Element
	recent    *list.List // of *addressLimit, the most recently seen first
}

type addressLimit struct {
	address netip.Prefix
	limit   *rate.Limiter
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{
		now:       now,
		global:    rate.NewLimiter(rate.Every(globalEvery), globalBurst),
		addresses: map[netip.Prefix]*list.Element{},
		recent:    list.New(),
	}
}

// attempt takes one attempt for address. A positive answer is how long to wait instead.
func (l *limiter) attempt(address netip.Addr) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if wait := take(l.find(network(address)).limit, now); wait > 0 {
		return wait // without touching the global limit, so that one address cannot exhaust it
	}
	return take(l.global, now)
}

// forgive forgets the failed attempts of an address that has shown the right password.
func (l *limiter) forgive(address netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if element, ok := l.addresses[network(address)]; ok {
		l.forget(element)
	}
}

func (l *limiter) find(address netip.Prefix) *addressLimit {
	if element, ok := l.addresses[address]; ok {
		l.recent.MoveToFront(element)
		return element.Value.(*addressLimit)
	}
	if l.recent.Len() >= addressesKept {
		l.forget(l.recent.Back())
	}
	entry := &addressLimit{address: address, limit: rate.NewLimiter(rate.Every(addressEvery), addressBurst)}
	l.addresses[address] = l.recent.PushFront(entry)
	return entry
}

func (l *limiter) forget(element *list.Element) {
	delete(l.addresses, l.recent.Remove(element).(*addressLimit).address)
}

func take(limit *rate.Limiter, now time.Time) time.Duration {
	reservation := limit.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// network is what counts as one address: an IPv4 address, or the /64 that one IPv6 subscriber has to choose from.
func network(address netip.Addr) netip.Prefix {
	address = address.Unmap()
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	prefix, err := address.WithZone("").Prefix(bits)
	if err != nil { // only for the zero Addr: all unknown addresses share one limit
		return netip.Prefix{}
	}
	return prefix
}

// clientAddress finds who sent a request. Behind hops proxies, each of which appends the address it saw, that is the entry
// so many places from the right of X-Forwarded-For: whatever stands further left was written by the client. The header
// counts only from a peer inside a private network, where proxies are.
func clientAddress(r *http.Request, hops int) netip.Addr {
	peer := parseAddress(r.RemoteAddr)
	if hops <= 0 || !(peer.IsPrivate() || peer.IsLoopback()) {
		return peer
	}
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if len(forwarded) < hops {
		return peer
	}
	if client := parseAddress(strings.TrimSpace(forwarded[len(forwarded)-hops])); client.IsValid() {
		return client
	}
	return peer
}

// parseAddress reads an address with or without a port; what is none gives the zero Addr.
func parseAddress(text string) netip.Addr {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap()
}
