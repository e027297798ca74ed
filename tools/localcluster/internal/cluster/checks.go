package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// check tells whether something works; the error says what does not.
type check func(ctx context.Context) error

const (
	// checkTime bounds one check.
	checkTime = 3 * time.Second
	// checkInterval is the pause between two checks while something starts.
	checkInterval = 150 * time.Millisecond
)

// always is the check of a program that offers none: to run is enough.
func always(context.Context) error { return nil }

// await repeats a check until it passes, the limit is over, or ended is closed.
func await(ctx context.Context, limit time.Duration, ended <-chan struct{}, ok check) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		once, stop := context.WithTimeout(ctx, checkTime)
		err := ok(once)
		stop()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return errors.New("the process ended")
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-time.After(checkInterval):
		}
	}
}

// httpCheck wants success from a URL of the node's network.
func (c *Cluster) httpCheck(url string) check { return c.urlCheck(url, nil) }

// tlsCheck is httpCheck for a server with a certificate of the cluster.
func (c *Cluster) tlsCheck(url string) check {
	return func(ctx context.Context) error {
		authority, err := readFile(c.layout.Authority())
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(authority)
		return c.urlCheck(url, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})(ctx)
	}
}

func (c *Cluster) urlCheck(url string, config *tls.Config) check {
	return func(ctx context.Context) error {
		transport := &http.Transport{DialContext: c.layout.Namespace().DialContext, TLSClientConfig: config, DisableKeepAlives: true}
		return get(ctx, transport, url, http.StatusOK)
	}
}

// apiCheck wants success from a path of the API server.
func (c *Cluster) apiCheck(path string) check {
	return func(ctx context.Context) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		defer client.Close()
		return client.Get(ctx, path, nil)
	}
}

// runtimeCheck wants the runtime's socket to accept.
func (c *Cluster) runtimeCheck() check {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.layout.socket())
		if err != nil {
			return fmt.Errorf("connect to containerd: %w", err)
		}
		return conn.Close()
	}
}

// connectCheck wants an address of the machine to accept.
func (c *Cluster) connectCheck(address string) check {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("connect from the machine: %w", err)
		}
		return conn.Close()
	}
}

// nodeReady wants the node's Ready condition.
func (c *Cluster) nodeReady(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.Close()
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := client.Get(ctx, "/api/v1/nodes/"+nodeName, &node); err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" {
			if condition.Status == "True" {
				return nil
			}
			return fmt.Errorf("the node is not ready: %s", condition.Message)
		}
	}
	return errors.New("the node has no Ready condition yet")
}

// nameServed wants cluster DNS, at its Service's address, to answer both a
// cluster name and a public name.
func (c *Cluster) nameServed(ctx context.Context) error {
	// Until kube-proxy has written its rules a question is lost without an
	// answer; asking again soon is quicker than waiting.
	const answerTime = 500 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	resolver := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return c.layout.Namespace().DialContext(ctx, network, dnsAddress+":53")
		},
	}
	for name, want := range map[string]string{
		"kubernetes.default.svc.cluster.local.": serviceAddress,
		"any." + c.layout.Domain() + ".":        ingressAddress,
	} {
		got, err := resolver.LookupHost(ctx, name)
		if err != nil {
			return fmt.Errorf("ask cluster DNS: %w", err)
		}
		if len(got) != 1 || got[0] != want {
			return fmt.Errorf("ask cluster DNS for %s: it answered %v, not %s", name, got, want)
		}
	}
	return nil
}

// ingressServed wants the ingress to answer over HTTPS by its public name, from
// the machine, with a certificate of the cluster's authority.
func (c *Cluster) ingressServed(ctx context.Context) error {
	authority, err := readFile(c.layout.Authority())
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true,
	}
	// Any answer of the ingress will do: a cluster in use has rules.
	return get(ctx, transport, "https://"+c.layout.Names()[0]+"/", 0)
}

// get wants the status, or any when it is zero.
func get(ctx context.Context, transport *http.Transport, url string, want int) error {
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	const shown = 200
	text, err := io.ReadAll(io.LimitReader(response.Body, shown))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", url, err)
	}
	if want != 0 && response.StatusCode != want {
		return fmt.Errorf("ask %s: it answered %d: %s", url, response.StatusCode, text)
	}
	return nil
}
