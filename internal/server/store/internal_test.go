package store

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestACertificateThatNamesHostsIsForNoOther(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler()) // its certificate is for example.com and 127.0.0.1
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for host, ok := range map[string]bool{"127.0.0.1": true, "example.com": true, "db.example.org": false, "127.0.0.2": false} {
		dialer := &tls.Dialer{Config: verifiedTLS(roots, host)}
		conn, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if (err == nil) != ok {
			t.Errorf("as %s: got %v", host, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

func TestIDsGrowAndDiffer(t *testing.T) {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	s := &idSource{now: func() time.Time { return at }}
	other := &idSource{now: s.now}
	seen := map[ID]bool{}
	last := ID(0)
	for i := range 1000 {
		if i%100 == 0 {
			at = at.Add(-time.Millisecond) // a clock that is set back
		}
		id := s.next()
		if id <= last {
			t.Fatalf("%d follows %d", id, last)
		}
		last = id
		seen[id] = true
	}
	if id := other.next(); seen[id] {
		t.Errorf("another program makes %d too", id)
	}
	if far := (&idSource{now: func() time.Time { return time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC) }}).next(); far <= 0 {
		t.Errorf("in 2090 an id is %d", far)
	}
}
