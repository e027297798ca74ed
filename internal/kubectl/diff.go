package kubectl

import (
	"context"
	"fmt"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/plan"
)

// waiting returns the newest plan of a resource, if one waits; nil where none does. A plan that was applied stays in its
// Secret, and status tells of it no more.
func (p *plugin) waiting(ctx context.Context, resource *appsv1.WeightsAndBiases) (*plan.Plan, error) {
	if resource.Status.Plan == nil {
		return nil, nil
	}
	return p.newestPlan(ctx, resource.Name)
}

func (p *plugin) newestPlan(ctx context.Context, name string) (*plan.Plan, error) {
	secret, err := p.secret(ctx, name+planSuffix)
	if err != nil || secret == nil {
		return nil, err
	}
	found, _, err := plan.Decode(secret.Data)
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", secret.Name, err)
	}
	return found, nil
}

func (p *plugin) diff(ctx context.Context, name string) error {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	found, err := p.waiting(ctx, resource)
	if err != nil {
		return err
	}
	err = p.print(found, func() string {
		if found == nil {
			return "No plan waits.\n"
		}
		return plan.Text(found, plan.TextOptions{Color: p.streams.Color})
	})
	if err == nil && found != nil && !found.Empty() {
		return no()
	}
	return err
}
