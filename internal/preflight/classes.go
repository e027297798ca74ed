package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// legacyIngressClass chose a controller before there were classes, and still does for some.
	legacyIngressClass = "kubernetes.io/ingress.class"
	// betaDefaultStorage marks a default class as early versions did.
	betaDefaultStorage   = "storageclass.beta.kubernetes.io/is-default-class"
	defaultStorageMark   = "storageclass.kubernetes.io/is-default-class"
	maxClasses           = 500
	maxClassesInMessages = 8
)

// class is an IngressClass or StorageClass.
type class struct {
	name    string
	primary bool // the cluster's default
}

func (r *run) ingressClass(ctx context.Context) Check {
	ingress := section(r.Values, "ingress")
	switch {
	case ingress == nil:
		return idle(IngressClass, "the values know no Ingress")
	case !flag(ingress, "install", true), !flag(ingress, "create", true), !flag(ingress, "enabled", true):
		return idle(IngressClass, "ingress.install, create or enabled is false: no Ingress is made")
	}
	wanted := []string{text(ingress, "class")}
	if wanted[0] == "" && text(section(ingress, "annotations"), legacyIngressClass) != "" {
		return idle(IngressClass, "annotation "+legacyIngressClass+" chooses the controller")
	}
	if second := section(ingress, "secondary"); flag(second, "create", false) || flag(second, "install", false) {
		wanted = append(wanted, text(second, "class"))
	}
	var list networkingv1.IngressClassList
	if err := r.Cluster.List(ctx, &list, client.Limit(maxClasses)); err != nil {
		return unasked(IngressClass, "list ingressclasses", err)
	}
	known := make([]class, 0, len(list.Items))
	for _, item := range list.Items {
		known = append(known, class{item.Name, item.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"})
	}
	return judgeClasses(IngressClass, "ingress.class", wanted, known,
		"Nobody can reach the installation through its Ingress until a controller serves that class")
}

func (r *run) storageClass(ctx context.Context) Check {
	persistence := section(r.Values, "app", "persistence")
	switch {
	case persistence == nil || !flag(section(r.Values, "app"), "install", true):
		return idle(StorageClass, "the values know no volume")
	case !flag(persistence, "enabled", true):
		return idle(StorageClass, "app.persistence.enabled is false: no volume is asked for")
	}
	existing := text(persistence, "existingClaim")
	there, err := r.claimExists(ctx, existing)
	switch {
	case existing != "" && err != nil:
		return unasked(StorageClass, "get persistentvolumeclaims", err)
	case existing != "" && !there:
		return warning(StorageClass, "app.persistence.existingClaim is %q, and there is no such claim: the application waits until somebody makes it", existing)
	case there:
		return passed(StorageClass, "the volume exists")
	}
	var list storagev1.StorageClassList
	if err := r.Cluster.List(ctx, &list, client.Limit(maxClasses)); err != nil {
		return unasked(StorageClass, "list storageclasses", err)
	}
	known := make([]class, 0, len(list.Items))
	for _, item := range list.Items {
		known = append(known, class{item.Name, item.Annotations[defaultStorageMark] == "true" || item.Annotations[betaDefaultStorage] == "true"})
	}
	wanted := text(persistence, "storageClass")
	if wanted == "" {
		wanted = text(r.Values, "global", "storageClass")
	}
	return judgeClasses(StorageClass, "global.storageClass", []string{wanted}, known,
		"The volume stays pending, and the application with it, unless a volume was made by hand")
}

// claimExists looks for the claim of the application: the one that is named, or the one that the chart makes.
func (r *run) claimExists(ctx context.Context, name string) (bool, error) {
	if name == "" {
		name = text(r.Values, "fullnameOverride")
		if name == "" {
			name = r.Release
		}
		const chartCutsAt = 48
		name = strings.TrimSuffix(name[:min(len(name), chartCutsAt)], "-") + "-app"
	}
	err := r.Cluster.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: name}, &corev1.PersistentVolumeClaim{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for claim %s: %w", name, err)
	}
	return true, nil
}

// judgeClasses tells whether each wanted class is there. An empty name wants the cluster's default.
func judgeClasses(name, key string, wanted []string, known []class, consequence string) Check {
	names := make([]string, 0, len(known))
	var primary string
	for _, one := range known {
		names = append(names, one.name)
		if one.primary {
			primary = one.name
		}
	}
	slices.Sort(names)
	found := make([]string, 0, len(wanted))
	for _, one := range wanted {
		switch {
		case one == "" && primary == "":
			return warning(name, "no class is the cluster's default, and %s is empty; %s. %s. Set %s.", key, classNames(names), consequence, key)
		case one == "":
			found = append(found, primary+" (the cluster's default)")
		case !slices.Contains(names, one):
			return warning(name, "there is no class %q; %s. %s. Set %s.", one, classNames(names), consequence, key)
		default:
			found = append(found, one)
		}
	}
	return passed(name, "class %s", strings.Join(found, " and "))
}

func classNames(names []string) string {
	switch {
	case len(names) == 0:
		return "the cluster has none"
	case len(names) > maxClassesInMessages:
		return fmt.Sprintf("the cluster has %d, among them %s", len(names), strings.Join(names[:maxClassesInMessages], ", "))
	default:
		return "the cluster has " + strings.Join(names, ", ")
	}
}
