package operator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/release"
	"github.com/kubewandb/kubewandb/internal/spec"
)

const (
	// chartTimeout bounds one load of a chart.
	chartTimeout = 2 * time.Minute
	// chartRetryFirst and chartRetryLast bound the pause after a chart could not be loaded.
	chartRetryFirst, chartRetryLast = 5 * time.Second, 10 * time.Minute
)

// ChartLoader fetches charts.
type ChartLoader interface {
	LoadChart(ctx context.Context, source *spec.Chart, credentials helm.Credentials) (*helm.Chart, error)
}

// library loads charts beside the work queue and remembers, for each resource, the one that it asked for last.
type library struct {
	loader ChartLoader
	// reader reads Secrets with credentials, without a cache.
	reader client.Reader
	// runner carries the loads; it wakes the reconciler after each.
	runner *release.Runner
	now    func() time.Time

	mu    sync.Mutex
	shelf map[types.NamespacedName]*volume
}

// volume is one chart of one resource.
type volume struct {
	source string
	chart  *helm.Chart
	schema *spec.Schema
	// err is why the chart could not be loaded; failures counts how often in a row, and at is when it was tried last.
	err      error
	failures int
	at       time.Time
}

// get returns the chart that source names, if it is loaded. Otherwise it has it loaded, and returns why it is not there
// yet; retry is when to ask again.
func (l *library) get(
	key types.NamespacedName, source string, chart *spec.Chart, maxAge time.Duration,
) (found *volume, retry time.Duration, err error) {
	l.mu.Lock()
	known := l.shelf[key]
	l.mu.Unlock()
	now := l.now()
	if known != nil && known.source == source {
		switch {
		case known.err == nil && (maxAge == 0 || now.Sub(known.at) < maxAge):
			return known, 0, nil
		case known.err != nil:
			due := known.at.Add(min(chartRetryFirst<<min(known.failures-1, 10), chartRetryLast))
			if now.Before(due) {
				return nil, due.Sub(now), known.err
			}
		}
	}
	if chart.Form == spec.FormLocal {
		// A file is read at once: a detour over the queue would cost a pass and a write of the status.
		ctx, cancel := context.WithTimeout(context.Background(), chartTimeout)
		defer cancel()
		l.load(ctx, key, source, chart)
		return l.loaded(key)
	}
	l.runner.Submit(release.Job{Key: key, Action: release.Wait, Do: func(ctx context.Context) {
		l.load(ctx, key, source, chart)
	}}, now)
	switch {
	case known == nil || known.source != source:
		return nil, 0, &fault.Error{
			Reason: appsv1.ReasonProgressing, Op: "loading chart " + chart.String(), Retry: true,
		}
	case known.err != nil:
		return nil, 0, known.err
	default:
		return known, 0, nil
	}
}

// loaded returns what came of the last load.
func (l *library) loaded(key types.NamespacedName) (*volume, time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.shelf[key]
	if known.err != nil {
		return nil, chartRetryFirst, known.err
	}
	return known, 0, nil
}

// drop forgets the chart of a resource: it is only needed until it is installed.
func (l *library) drop(key types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.shelf, key)
}

func (l *library) load(ctx context.Context, key types.NamespacedName, source string, chart *spec.Chart) {
	ctx, cancel := context.WithTimeout(ctx, chartTimeout)
	defer cancel()
	next := &volume{source: source}
	credentials, err := credentialsOf(ctx, l.reader, key.Namespace, chart)
	if err == nil {
		next.chart, err = l.loader.LoadChart(ctx, chart, credentials)
	}
	if err == nil {
		next.schema, err = spec.ParseSchema(next.chart.Schema())
	}
	next.err, next.at = err, l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		next.chart, next.failures = nil, 1
		if last := l.shelf[key]; last != nil && last.source == source {
			next.failures = last.failures + 1
			if last.err == nil {
				// A newer version could not be looked for; the one that is there stays.
				last.at = next.at
				return
			}
		}
	}
	if l.shelf == nil {
		l.shelf = map[types.NamespacedName]*volume{}
	}
	l.shelf[key] = next
}

// credentialsOf returns what the chart's repository is asked with.
func credentialsOf(ctx context.Context, reader client.Reader, namespace string, chart *spec.Chart) (helm.Credentials, error) {
	wanted := chart.CredentialSecret
	if wanted == nil {
		return helm.DescribedCredentials(chart), nil
	}
	data, err := secretData(ctx, reader, types.NamespacedName{Namespace: namespace, Name: wanted.Name})
	if err != nil {
		return helm.Credentials{}, err
	}
	user, password := string(data[wanted.UsernameKey]), redact.Secret(data[wanted.PasswordKey])
	if user == "" || password == "" {
		return helm.Credentials{}, &fault.Error{
			Reason: appsv1.ReasonRepositoryUnreachable, Op: "read credentials of " + chart.String(),
			Err: fmt.Errorf("the Secret %s lacks key %q or %q", wanted.Name, wanted.UsernameKey, wanted.PasswordKey),
			Hint: fmt.Sprintf("Run `kubectl create secret generic %s -n %s --from-literal=%s=<user> --from-literal=%s=<password>`.",
				wanted.Name, namespace, wanted.UsernameKey, wanted.PasswordKey),
		}
	}
	return helm.Credentials{Username: user, Password: password}, nil
}
