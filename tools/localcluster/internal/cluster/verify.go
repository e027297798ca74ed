package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubewandb/kubewandb/tools/localcluster/internal/api"
)

// verifyTime bounds each of the final checks.
const verifyTime = 2 * time.Minute

// checkPath is the Deployment that proves that a pod can start.
const checkPath = "/apis/apps/v1/namespaces/kube-system/deployments/localcluster-check"

// verify proves that the cluster works for those who use it, not only that its
// programs say so. A pod is started only after something was started: the proof
// of a cluster that was left alone would cost more than the rest of up.
func (c *Cluster) verify(ctx context.Context, started int) error {
	if err := c.steps.Step("node, DNS and ingress answer", func() error {
		for _, want := range []check{c.nodeReady, c.nameServed, c.ingressServed} {
			if err := await(ctx, verifyTime, nil, want); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if started == 0 {
		return nil
	}
	return c.steps.Step("a Deployment's pod starts", func() error { return c.startPod(ctx) })
}

func (c *Cluster) startPod(ctx context.Context) (err error) {
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.Close()
	deployment, err := render("check.yaml", c.settings())
	if err != nil {
		return err
	}
	if err := client.Delete(ctx, checkPath); err != nil {
		return fmt.Errorf("remove an older check: %w", err)
	}
	if err := await(ctx, verifyTime, nil, gone(client)); err != nil {
		return err
	}
	if err := client.Apply(ctx, deployment); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, client.Delete(context.WithoutCancel(ctx), checkPath), await(ctx, verifyTime, nil, gone(client)))
	}()
	return await(ctx, verifyTime, nil, func(ctx context.Context) error {
		var state struct {
			Status struct{ AvailableReplicas int }
		}
		if err := client.Get(ctx, checkPath, &state); err != nil {
			return err
		}
		if state.Status.AvailableReplicas == 0 {
			return errors.New("the pod of Deployment kube-system/localcluster-check is not available")
		}
		return nil
	})
}

// gone wants the check's Deployment, and with it its pods, to be removed.
func gone(client *api.Client) check {
	return func(ctx context.Context) error {
		err := client.Get(ctx, checkPath, nil)
		if api.NotFound(err) {
			return nil
		}
		if err == nil {
			err = errors.New("Deployment kube-system/localcluster-check is still being removed")
		}
		return err
	}
}
