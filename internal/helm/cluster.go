package helm

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"helm.sh/helm/v4/pkg/kube"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/cli-runtime/pkg/resource"
)

// cluster is the SDK's view of the cluster with our rules laid over it: volumes survive, and removal copes with kinds that
// are gone.
type cluster struct {
	*kube.Client
	// removing tells that the release is being uninstalled.
	removing bool
	// adopting tells that the release was applied client-side until now.
	adopting bool

	mu     sync.Mutex
	errors []error
}

var (
	_ kube.Interface            = (*cluster)(nil)
	_ kube.InterfaceWaitOptions = (*cluster)(nil)
)

func newCluster(clients *getter, log slog.Handler) *cluster {
	client := kube.New(clients)
	client.Namespace = clients.namespace
	client.SetLogger(log)
	return &cluster{Client: client}
}

// IsReachable asks nothing: every action begins with a read of the storage, which fails as clearly.
func (c *cluster) IsReachable() error { return nil }

// Build reads a manifest. While a release is removed, objects of kinds that the cluster no longer knows cannot exist
// any more, and are no reason to stop.
func (c *cluster) Build(reader io.Reader, validate bool) (kube.ResourceList, error) {
	list, err := c.Client.Build(reader, validate)
	if err != nil && c.removing && onlyUnknownKinds(err) {
		return list, nil
	}
	return list, err // the SDK words it
}

func onlyUnknownKinds(err error) bool {
	var several utilerrors.Aggregate
	if errors.As(err, &several) {
		for _, one := range several.Errors() {
			if !meta.IsNoMatchError(one) {
				return false
			}
		}
		return true
	}
	return meta.IsNoMatchError(err)
}

// Update leaves out volumes that the new manifest has dropped, since the SDK would delete them.
func (c *cluster) Update(originals, targets kube.ResourceList, options ...kube.ClientUpdateOption) (*kube.Result, error) {
	if c.adopting {
		if err := adopt(originals, targets); err != nil {
			return &kube.Result{}, err
		}
	}
	kept := originals.Filter(func(info *resource.Info) bool {
		return !isVolumeClaim(info.Mapping) || targets.Contains(info)
	})
	return c.Client.Update(kept, targets, options...) // the SDK words it
}

// Delete removes no volumes together with a release, and remembers why something could not be removed: the SDK's uninstall drops that.
func (c *cluster) Delete(resources kube.ResourceList, policy metav1.DeletionPropagation) (*kube.Result, []error) {
	if c.removing {
		resources = withoutVolumeClaims(resources)
	}
	if len(resources) == 0 {
		return &kube.Result{}, nil
	}
	result, errs := c.Client.Delete(resources, policy)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errors = append(c.errors, errs...)
	return result, errs
}

// GetWaiterWithOptions returns a waiter that does not wait for volumes to disappear, since they stay.
func (c *cluster) GetWaiterWithOptions(strategy kube.WaitStrategy, options ...kube.WaitOption) (kube.Waiter, error) {
	waiter, err := c.Client.GetWaiterWithOptions(strategy, options...)
	if err != nil || !c.removing {
		return waiter, err // the SDK words it
	}
	return &selectiveWaiter{Waiter: waiter}, nil
}

type selectiveWaiter struct{ kube.Waiter }

func (w *selectiveWaiter) WaitForDelete(resources kube.ResourceList, timeout time.Duration) error {
	return w.Waiter.WaitForDelete(withoutVolumeClaims(resources), timeout) // the SDK words it
}

func withoutVolumeClaims(resources kube.ResourceList) kube.ResourceList {
	return resources.Filter(func(info *resource.Info) bool { return !isVolumeClaim(info.Mapping) })
}

// explain adds the errors of Delete that the SDK's own error does not wrap.
func (c *cluster) explain(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.errors {
		if !errors.Is(err, one) {
			err = fmt.Errorf("%w; %w", err, one)
		}
	}
	return err
}

func isVolumeClaim(mapping *meta.RESTMapping) bool {
	return mapping != nil && mapping.GroupVersionKind.Group == "" && mapping.GroupVersionKind.Kind == "PersistentVolumeClaim"
}
