package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// resource is what the demo reads of the custom resource.
type resource struct {
	Metadata struct {
		Generation int64 `json:"generation"`
	} `json:"metadata"`
	Status struct {
		ObservedGeneration int64       `json:"observedGeneration"`
		Conditions         []condition `json:"conditions"`
		Release            struct {
			Name     string `json:"name"`
			Revision int    `json:"revision"`
		} `json:"release"`
		Channel struct {
			ReleaseName string `json:"releaseName"`
		} `json:"channel"`
	} `json:"status"`
}

type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func (r resource) condition(name string) condition {
	for _, c := range r.Status.Conditions {
		if c.Type == name {
			return c
		}
	}
	return condition{Type: name, Status: "Unknown", Reason: "NotReportedYet", Message: "the operator has not written it yet"}
}

func (d *Demo) resource(ctx context.Context) (resource, error) {
	output, err := d.kubectl(ctx, "get", "wandb", resourceName, "--namespace", namespace, "--output", "json")
	if err != nil {
		return resource{}, err
	}
	var r resource
	if err := json.Unmarshal([]byte(output), &r); err != nil {
		return resource{}, fmt.Errorf("parse the custom resource: %w", err)
	}
	return r, nil
}

const (
	fetchDeadline = 10 * time.Second
	fetchBound    = 16 << 20
)

// client trusts the demo's authority beside the system's.
func (d *Demo) client() (*http.Client, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if ca := d.cluster.authority(); ca != "" {
		content, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("read CA: %w", err)
		}
		pool.AppendCertsFromPEM(content)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	return &http.Client{Transport: transport, Timeout: fetchDeadline}, nil
}

func (d *Demo) fetch(ctx context.Context, url string) ([]byte, error) {
	client, err := d.client()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", url, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, fetchBound))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %s: status %s", url, response.Status)
	}
	return body, nil
}

// waitDeployServer waits until the deploy server answers through the ingress.
func (d *Demo) waitDeployServer(ctx context.Context) error {
	return d.waitURL(ctx, d.deployURL()+"/healthz")
}

// reachApplication waits until the application answers through the ingress.
func (d *Demo) reachApplication(ctx context.Context) error {
	return d.waitURL(ctx, d.wandbURL()+"/healthz")
}

func (d *Demo) waitURL(ctx context.Context, url string) error {
	return poll(ctx, time.Minute, 250*time.Millisecond, func(ctx context.Context) (bool, string, error) {
		if _, err := d.fetch(ctx, url); err != nil {
			return false, err.Error(), nil
		}
		return true, "", nil
	})
}
