package kubectl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// followPause is how long to wait before a watch that ended is opened again.
const followPause = time.Second

// maxFollowFailures is how often in a row the API server may fail to answer: about as long as it takes to restart.
const maxFollowFailures = 60

// errGone tells that the resource was deleted while it was watched.
var errGone = errors.New("the resource was deleted")

// follow calls see with the resource as it is and as often as it changes, until see says that it is done, or ctx ends, or
// the API server stays away.
func (p *plugin) follow(ctx context.Context, name string, see func(*appsv1.WeightsAndBiases) (bool, error)) error {
	for failures := 0; ; {
		done, err := p.followOnce(ctx, name, func(resource *appsv1.WeightsAndBiases) (bool, error) {
			failures = 0
			return see(resource)
		})
		switch {
		case done:
			return nil
		case err != nil && (!transient(err) || failures == maxFollowFailures):
			return err
		case err != nil:
			failures++
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait.Jitter(followPause, 0.5)):
		}
	}
}

func (p *plugin) followOnce(ctx context.Context, name string, see func(*appsv1.WeightsAndBiases) (bool, error)) (bool, error) {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return false, err
	}
	if done, err := see(resource); done || err != nil {
		return done, err
	}
	return p.watchOnce(ctx, resource, see)
}

// transient tells of errors that end when the API server, or the way to it, is back.
func transient(err error) bool {
	var network net.Error
	return errors.As(err, &network) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err)
}

// watchOnce watches until see is done (true), or the API server ends the watch (false).
func (p *plugin) watchOnce(ctx context.Context, from *appsv1.WeightsAndBiases, see func(*appsv1.WeightsAndBiases) (bool, error)) (bool, error) {
	watcher, err := p.client.Watch(ctx, &appsv1.WeightsAndBiasesList{}, &client.ListOptions{
		Namespace: from.Namespace, FieldSelector: fields.OneTermEqualSelector("metadata.name", from.Name),
		Raw: &metav1.ListOptions{ResourceVersion: from.ResourceVersion},
	})
	if err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		return false, fmt.Errorf("watch WeightsAndBiases %s: %w", from.Name, err)
	}
	defer watcher.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case event, alive := <-watcher.ResultChan():
			if !alive || event.Type == watch.Error {
				return false, nil
			}
			resource, ok := event.Object.(*appsv1.WeightsAndBiases)
			if !ok {
				continue
			}
			if event.Type == watch.Deleted {
				return false, fmt.Errorf("watch WeightsAndBiases %s: %w", from.Name, errGone)
			}
			if done, err := see(resource); done || err != nil {
				return done, err
			}
		}
	}
}
