package console

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func TestLimiterRefills(t *testing.T) {
	k := &clock{}
	start := time.Now()
	l := newLimiter(func() time.Time { return start.Add(k.offset) })
	address := netip.MustParseAddr("203.0.113.1")
	for range addressBurst {
		if wait := l.attempt(address); wait != 0 {
			t.Fatalf("wait %s within the burst", wait)
		}
	}
	if wait := l.attempt(address); wait <= 0 || wait > addressEvery {
		t.Fatalf("wait %s, want up to %s", wait, addressEvery)
	}
	k.advance(addressEvery)
	if wait := l.attempt(address); wait != 0 {
		t.Errorf("wait %s after %s", wait, addressEvery)
	}
	l.forgive(address)
	for range addressBurst {
		if wait := l.attempt(address); wait != 0 {
			t.Fatalf("wait %s after the right password", wait)
		}
	}
}

func TestLimiterIsBounded(t *testing.T) {
	now := time.Now()
	l := newLimiter(func() time.Time { return now })
	refused := 0
	for n := range 3 * addressesKept {
		if l.attempt(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})) > 0 {
			refused++
		}
	}
	if len(l.addresses) != addressesKept || l.recent.Len() != addressesKept {
		t.Errorf("%d addresses are kept, want %d", len(l.addresses), addressesKept)
	}
	if refused != 3*addressesKept-globalBurst {
		t.Errorf("%d attempts were let through, want %d whoever asks", 3*addressesKept-refused, globalBurst)
	}
}

func TestOneSubscriberIsOneAddress(t *testing.T) {
	same := [][2]string{{"2001:db8::1", "2001:db8::ffff:1"}, {"192.0.2.1", "::ffff:192.0.2.1"}, {"fe80::1%eth0", "fe80::2%eth1"}}
	for _, pair := range same {
		if network(netip.MustParseAddr(pair[0])) != network(netip.MustParseAddr(pair[1])) {
			t.Errorf("%s and %s are told apart", pair[0], pair[1])
		}
	}
	if network(netip.MustParseAddr("192.0.2.1")) == network(netip.MustParseAddr("192.0.2.2")) {
		t.Error("two IPv4 addresses are one")
	}
}

func TestClientAddress(t *testing.T) {
	tests := map[string]struct {
		peer      string
		forwarded []string
		hops      int
		want      string
	}{
		"without a proxy":                     {peer: "203.0.113.9:1", hops: 1, want: "203.0.113.9"},
		"through the ingress":                 {peer: "10.1.2.3:1", forwarded: []string{"203.0.113.9"}, hops: 1, want: "203.0.113.9"},
		"with a header that a client made up": {peer: "10.1.2.3:1", forwarded: []string{"192.0.2.1, 203.0.113.9"}, hops: 1, want: "203.0.113.9"},
		"through a balancer and the ingress":  {peer: "10.1.2.3:1", forwarded: []string{"192.0.2.1", "203.0.113.9, 10.0.0.7"}, hops: 2, want: "203.0.113.9"},
		"with too few entries":                {peer: "10.1.2.3:1", forwarded: []string{"203.0.113.9"}, hops: 2, want: "10.1.2.3"},
		"with a header that is no address":    {peer: "10.1.2.3:1", forwarded: []string{"unknown"}, hops: 1, want: "10.1.2.3"},
		"with an entry that has a port":       {peer: "10.1.2.3:1", forwarded: []string{"[2001:db8::1]:443"}, hops: 1, want: "2001:db8::1"},
		"from outside with a header":          {peer: "203.0.113.9:1", forwarded: []string{"192.0.2.1"}, hops: 1, want: "203.0.113.9"},
		"where no proxy is trusted":           {peer: "10.1.2.3:1", forwarded: []string{"192.0.2.1"}, hops: 0, want: "10.1.2.3"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: test.peer, Header: http.Header{"X-Forwarded-For": test.forwarded}}
			if got := clientAddress(r, test.hops); got.String() != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
