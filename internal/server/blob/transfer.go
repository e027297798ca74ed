package blob

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// errorBody bounds what is read of an answer that is an error.
	errorBody = 1 << 20

	defaultContentType = "application/octet-stream"
)

var errMismatch = errors.New("these are not the bytes that were announced")

func contentType(given string) string {
	if given == "" {
		return defaultContentType
	}
	return given
}

// counter counts and hashes what is read, and fails at the end where it is not what was announced.
type counter struct {
	r     io.Reader
	size  int64
	want  []byte
	hash  hash.Hash
	n     int64
	alive func()
}

func newCounter(r io.Reader, size int64, want []byte) *counter {
	return &counter{r: r, size: size, want: want, hash: md5.New()}
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.hash.Write(p[:n])
	if n > 0 && c.alive != nil {
		c.alive()
	}
	if c.size >= 0 && c.n > c.size {
		return 0, fmt.Errorf("%w: more than %d bytes", errMismatch, c.size)
	}
	if errors.Is(err, io.EOF) {
		if c.size >= 0 && c.n != c.size {
			return 0, fmt.Errorf("%w: %d bytes and not %d", errMismatch, c.n, c.size)
		}
		if len(c.want) > 0 && !bytes.Equal(c.want, c.sum()) {
			return 0, fmt.Errorf("%w: the MD5 is another one", errMismatch)
		}
	}
	return n, err
}

func (c *counter) sum() []byte { return c.hash.Sum(nil) }

// guarded ends a transfer that stands still.
type guarded struct {
	body   io.ReadCloser
	guard  *time.Timer
	stall  time.Duration
	cancel context.CancelFunc
}

func (g *guarded) Read(p []byte) (int, error) {
	g.guard.Reset(g.stall)
	return g.body.Read(p)
}

func (g *guarded) Close() error {
	g.guard.Stop()
	err := g.body.Close()
	g.cancel()
	return err
}

// newClient is the HTTP client of every store. Whoever reads a body guards it.
func newClient() *http.Client { return &http.Client{Transport: bounded{newTransport()}} }

func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 2 * time.Minute, ExpectContinueTimeout: time.Second,
		MaxIdleConns: 128, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 1 << 20,
	}
}

// bounded cuts off the bodies of errors, which clients of stores read whole.
type bounded struct{ *http.Transport }

// RoundTrip does one request.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.Transport.RoundTrip(r)
	if err == nil && answer.StatusCode >= http.StatusMultipleChoices {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, errorBody), answer.Body}
	}
	return answer, err
}
