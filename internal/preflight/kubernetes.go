package preflight

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kubeversion "k8s.io/apimachinery/pkg/util/version"
)

// oldestKubernetes is the oldest version that the chart's objects are valid in.
const oldestKubernetes = "1.28.0"

func (r *run) kubernetesVersion(ctx context.Context) Check {
	found, err := r.Cluster.Version(ctx)
	if err != nil {
		return unasked(KubernetesVersion, "get /version", err)
	}
	return judgeKubernetes(found)
}

func judgeKubernetes(found string) Check {
	parsed, err := kubeversion.ParseGeneric(found)
	if err != nil {
		return skipped(KubernetesVersion, "the API server calls its version %q, which is none", found)
	}
	if parsed.LessThan(kubeversion.MustParseGeneric(oldestKubernetes)) {
		return failed(KubernetesVersion, "Kubernetes is %s and must be 1.28 or newer. Upgrade the cluster.", found)
	}
	return passed(KubernetesVersion, "Kubernetes %s", found)
}

// unasked says why the cluster gave no answer: a right is missing, or something else went wrong. right is verb and
// resource: "list nodes".
func unasked(name, right string, err error) Check {
	if apierrors.IsForbidden(err) {
		return skipped(name, "needs: %s", right)
	}
	return skipped(name, "the cluster did not answer (%s): %v", right, err)
}
