// Package api talks to the cluster's API server with plain HTTP: the few calls
// that starting a cluster needs do not justify a client library, which would
// take longer to compile than everything else here.
package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// callTime bounds one call.
const callTime = 20 * time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 8 << 20

// FieldOwner is the name under which applied fields are owned.
const FieldOwner = "localcluster"

// Client calls the API server.
type Client struct {
	base string
	http *http.Client
}

// Options say how to reach the API server.
type Options struct {
	// Base is the server's URL.
	Base string
	// Authority is the PEM certificate that signs the server's.
	Authority []byte
	// Certificate and Key are the caller's, in PEM.
	Certificate, Key []byte
	// Dial reaches the server's address; nil means the machine's own network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// New returns a client.
func New(o Options) (*Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(o.Authority) {
		return nil, errors.New("read the cluster's certificate authority: no certificate in it")
	}
	pair, err := tls.X509KeyPair(o.Certificate, o.Key)
	if err != nil {
		return nil, fmt.Errorf("read client certificate: %w", err)
	}
	return &Client{base: o.Base, http: &http.Client{
		Timeout: callTime,
		Transport: &http.Transport{
			DialContext:       o.Dial,
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2: true,
		},
	}}, nil
}

// Close gives up the connections to the API server.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// StatusError is an answer other than success.
type StatusError struct {
	Code    int
	Message string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the API server answered %d: %s", e.Code, e.Message)
}

// NotFound tells whether err is the API server's 404.
func NotFound(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == http.StatusNotFound
}

// Get reads path into result, which may be nil.
func (c *Client) Get(ctx context.Context, path string, result any) error {
	return c.call(ctx, http.MethodGet, path, "", nil, result)
}

// Delete removes the object at path together with what it owns.
func (c *Client) Delete(ctx context.Context, path string) error {
	options := []byte(`{"propagationPolicy":"Foreground","gracePeriodSeconds":0}`)
	err := c.call(ctx, http.MethodDelete, path, "application/json", options, nil)
	if NotFound(err) {
		return nil
	}
	return err
}

// Apply makes every object of the YAML documents as they say.
func (c *Client) Apply(ctx context.Context, documents []byte) error {
	for _, document := range strings.Split(string(documents), "\n---\n") {
		if strings.TrimSpace(document) == "" {
			continue
		}
		path, err := objectPath([]byte(document))
		if err != nil {
			return err
		}
		query := "?force=true&fieldManager=" + FieldOwner
		if err := c.call(ctx, http.MethodPatch, path+query, "application/apply-patch+yaml", []byte(document), nil); err != nil {
			return fmt.Errorf("apply %s: %w", path, err)
		}
	}
	return nil
}

func (c *Client) call(ctx context.Context, method, path, contentType string, body []byte, result any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("call the API server: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the API server's answer: %w", err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		const shown = 400
		var status struct{ Message string }
		if json.Unmarshal(content, &status) != nil || status.Message == "" {
			status.Message = string(content[:min(len(content), shown)])
		}
		return &StatusError{Code: response.StatusCode, Message: status.Message}
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(content, result); err != nil {
		return fmt.Errorf("parse the API server's answer: %w", err)
	}
	return nil
}

// resource is how a kind appears in a path.
type resource struct {
	plural     string
	namespaced bool
}

// resources lists the kinds that the tool applies.
func resources() map[string]resource {
	return map[string]resource{
		"Namespace":          {plural: "namespaces"},
		"Service":            {plural: "services", namespaced: true},
		"ServiceAccount":     {plural: "serviceaccounts", namespaced: true},
		"EndpointSlice":      {plural: "endpointslices", namespaced: true},
		"ClusterRole":        {plural: "clusterroles"},
		"ClusterRoleBinding": {plural: "clusterrolebindings"},
		"StorageClass":       {plural: "storageclasses"},
		"IngressClass":       {plural: "ingressclasses"},
		"Deployment":         {plural: "deployments", namespaced: true},
	}
}

func objectPath(document []byte) (string, error) {
	var object struct {
		APIVersion string
		Kind       string
		Metadata   struct{ Name, Namespace string }
	}
	if err := yaml.Unmarshal(document, &object); err != nil {
		return "", fmt.Errorf("parse object: %w", err)
	}
	r, ok := resources()[object.Kind]
	if !ok {
		return "", fmt.Errorf("apply object %s: kind %q is not in the list of kinds", object.Metadata.Name, object.Kind)
	}
	path := "/apis/" + object.APIVersion
	if !strings.Contains(object.APIVersion, "/") {
		path = "/api/" + object.APIVersion
	}
	if r.namespaced {
		path += "/namespaces/" + object.Metadata.Namespace
	}
	return path + "/" + r.plural + "/" + object.Metadata.Name, nil
}
