package helm

import (
	"fmt"

	"helm.sh/helm/v4/pkg/kube"
	release "helm.sh/helm/v4/pkg/release/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/util/csaupgrade"
	"k8s.io/client-go/util/retry"
)

// formerManagers are the names under which releases were written client-side before us: the operator of version 1.x,
// whose binary is called manager, and Helm's own command line.
func formerManagers() sets.Set[string] {
	return sets.New("manager", "helm", FieldManager)
}

// isClientSide tells whether a revision was applied client-side, and its objects still belong to whoever did so.
func isClientSide(last *release.Release) bool {
	return last != nil && last.ApplyMethod != string(release.ApplyMethodServerSideApply)
}

// adopt moves the fields of objects that were written client-side to our field manager.
//
// Without it their former manager would own the fields for ever: what a chart stops setting would stay, and so would the
// ownerReferences through which the operator of version 1.x let the garbage collector remove kept objects. The SDK
// migrates too, but only fields of its own manager's name.
func adopt(originals, targets kube.ResourceList) error {
	for _, info := range targets {
		if !originals.Contains(info) {
			continue
		}
		if err := retry.RetryOnConflict(retry.DefaultRetry, func() error { return adoptObject(info) }); err != nil {
			return fmt.Errorf("take over fields of %s %s: %w", info.Mapping.GroupVersionKind.Kind, info.Name, err)
		}
	}
	return nil
}

func adoptObject(info *resource.Info) error {
	helper := resource.NewHelper(info.Client, info.Mapping).WithFieldManager(FieldManager)
	live, err := helper.Get(info.Namespace, info.Name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err // adopt words it
	}
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(live, formerManagers(), FieldManager)
	if err != nil {
		return fmt.Errorf("read managed fields: %w", err)
	}
	if len(patch) == 0 {
		return nil
	}
	_, err = helper.Patch(info.Namespace, info.Name, types.JSONPatchType, patch, nil)
	return err // retry tests for conflicts, adopt words it
}
