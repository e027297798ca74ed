package helm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// Policy says which objects a release may have.
type Policy struct {
	// Namespace that objects have to lie in.
	Namespace string
	// ClusterKinds lists the kinds that may nevertheless belong to the cluster or lie in another namespace:
	// "ClusterRole", "PriorityClass". "*" allows every kind.
	ClusterKinds []string
}

// CheckObjects refuses objects outside the policy: a fault ClusterObjectRefused that names them.
func (c *Client) CheckObjects(_ context.Context, objects []Object, policy Policy) error {
	var refused, kinds []string
	for _, object := range objects {
		if object.Namespace == policy.Namespace || policy.allows(object.Kind) {
			continue
		}
		refused = append(refused, object.String())
		if !slices.Contains(kinds, object.Kind) {
			kinds = append(kinds, object.Kind)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	slices.Sort(kinds)
	return &fault.Error{
		Reason: v1.ReasonClusterObjectRefused,
		Op:     "check the chart's objects",
		Hint: fmt.Sprintf("Turn off the part of the chart that makes them, or allow the kinds in the operator's chart: --set 'allowClusterObjects={%s}'.",
			strings.Join(kinds, ",")),
		Err: errors.New("outside namespace " + policy.Namespace + ": " + listing(refused)),
	}
}

func (p Policy) allows(kind string) bool {
	return slices.Contains(p.ClusterKinds, kind) || slices.Contains(p.ClusterKinds, "*")
}
