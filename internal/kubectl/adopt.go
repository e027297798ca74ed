package kubectl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	k8sappsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/plan"
)

// adoption is what taking over a Helm release would do.
type adoption struct {
	Release      string `json:"release"`
	Namespace    string `json:"namespace"`
	Chart        string `json:"chart"`
	ChartVersion string `json:"chartVersion"`
	Revision     int    `json:"revision"`
	Status       string `json:"status"`
	Plan         string `json:"plan"`

	Kept     []string       `json:"kept"`
	Added    []string       `json:"added"`
	Changed  []string       `json:"changed"`
	Removed  []string       `json:"removed"`
	Restarts []plan.Restart `json:"restarts"`
	// Owned are objects whose owner reference to the resource is removed before anything else.
	Owned []string `json:"owned"`
	// Unseen are kinds that the caller may not list, so that owner references of theirs are not known.
	Unseen []string `json:"unseen,omitempty"`
}

func (p *plugin) adopt(ctx context.Context, release, name string) error {
	storage, err := p.helm()
	if err != nil {
		return err
	}
	found, err := storage.Current(ctx, p.namespace, release)
	if err != nil {
		return err
	}
	if found == nil || found.Status == helm.StatusUninstalled {
		return &fault.Error{
			Reason: "ReleaseMissing", Op: fmt.Sprintf("find Helm release %s in namespace %s", release, p.namespace),
			Err: errors.New("it does not exist"), Hint: `"helm list -A" lists all of them; choose a namespace with -n.`,
		}
	}
	if name == "" {
		name = release
	}
	if name != release {
		return &fault.Error{
			Reason: "NamesDiffer", Op: fmt.Sprintf("take over release %s by resource %s", release, name),
			Err:  errors.New("the release of a resource has the name of that resource, so that a second one would be installed beside it"),
			Hint: fmt.Sprintf("Give the resource the name %s.", release),
		}
	}
	resource := &appsv1.WeightsAndBiases{}
	err = p.client.Get(ctx, types.NamespacedName{Namespace: p.namespace, Name: name}, resource)
	if apierrors.IsNotFound(err) {
		return &fault.Error{
			Reason: "ResourceNotFound", Op: "tell what the operator would change",
			Err:  fmt.Errorf("there is no WeightsAndBiases %s, and only the operator renders the new chart (the release is %s)", name, releaseLine(found)),
			Hint: fmt.Sprintf("Make one that changes nothing, and run this command again: %s", suspendedResource(p.namespace, name)),
		}
	}
	if err != nil {
		return fmt.Errorf("read WeightsAndBiases %s: %w", name, err)
	}
	report, err := p.adoptionOf(ctx, found, resource)
	if err != nil {
		return err
	}
	if err := p.print(report, func() string { return adoptionText(report, resource) }); err != nil {
		return err
	}
	if len(report.Removed)+len(report.Restarts) > 0 {
		return no()
	}
	return nil
}

func releaseLine(found *helm.Release) string {
	return fmt.Sprintf("%s %s, revision %d, %s", found.Chart, found.ChartVersion, found.Revision, found.Status)
}

// suspendedResource is a command that makes a resource which changes nothing.
func suspendedResource(namespace, name string) string {
	return fmt.Sprintf(`echo '{"apiVersion":"%s","kind":"WeightsAndBiases","metadata":{"name":"%s","namespace":"%s"},"spec":{"suspend":true}}' | kubectl apply -f -`,
		appsv1.GroupVersion(), name, namespace)
}

func (p *plugin) adoptionOf(ctx context.Context, found *helm.Release, resource *appsv1.WeightsAndBiases) (*adoption, error) {
	planned, err := p.waiting(ctx, resource)
	if err != nil {
		return nil, err
	}
	if planned == nil {
		return nil, &fault.Error{
			Reason: "PlanMissing", Op: "tell what the operator would change", Retry: true,
			Err:  errors.New("the operator has no plan that waits: it is not at work, has not come to it yet, or everything is as it should be"),
			Hint: fmt.Sprintf(`"kubectl wandb status %s" tells what it does next.`, resource.Name),
		}
	}
	report := &adoption{
		Release: found.Name, Namespace: found.Namespace, Chart: found.Chart, ChartVersion: found.ChartVersion, Revision: found.Revision,
		Status: string(found.Status), Plan: planned.Digest, Restarts: slices.Concat([]plan.Restart{}, planned.Restarts),
		Kept: []string{}, Added: []string{}, Changed: []string{}, Removed: []string{},
	}
	touched := map[string]bool{}
	for _, change := range planned.Changes {
		touched[objectKey(change.APIVersion, change.Kind, change.Namespace, change.Name, found.Namespace)] = true
		switch change.Action {
		case plan.Add:
			report.Added = append(report.Added, change.Object())
		case plan.Update:
			report.Changed = append(report.Changed, change.Object())
		case plan.Remove:
			report.Removed = append(report.Removed, change.Object())
		}
	}
	for _, ref := range found.Objects {
		if !touched[objectKey(ref.APIVersion, ref.Kind, ref.Namespace, ref.Name, found.Namespace)] {
			report.Kept = append(report.Kept, ref.Kind+" "+ref.Name)
		}
	}
	report.Owned, report.Unseen, err = p.owned(ctx, resource)
	return report, err
}

// objectKey names an object whatever version of its kind is spoken of.
func objectKey(apiVersion, kind, namespace, name, fallback string) string {
	return plan.Object{APIVersion: apiVersion, Kind: kind, Namespace: cmp.Or(namespace, fallback), Name: name}.Key()
}

// marked are the kinds whose objects version 1.x of the operator made its resource the owner of.
func marked() []schema.GroupVersionKind {
	core, apps, rbac := corev1.SchemeGroupVersion, k8sappsv1.SchemeGroupVersion, rbacv1.SchemeGroupVersion
	return []schema.GroupVersionKind{
		core.WithKind("ConfigMap"), core.WithKind("Secret"), core.WithKind("Service"),
		apps.WithKind("DaemonSet"), apps.WithKind("Deployment"), apps.WithKind("StatefulSet"),
		networkingv1.SchemeGroupVersion.WithKind("Ingress"), rbac.WithKind("Role"), rbac.WithKind("RoleBinding"),
	}
}

// owned lists objects that deleting the resource would let the garbage collector delete, and the kinds that the caller may
// not list.
func (p *plugin) owned(ctx context.Context, resource *appsv1.WeightsAndBiases) (objects, unseen []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	objects = []string{}
	for _, kind := range marked() {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		err := p.client.List(ctx, list, client.InNamespace(resource.Namespace))
		if apierrors.IsForbidden(err) {
			unseen = append(unseen, kind.Kind)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("list %ss: %w", kind.Kind, err)
		}
		for _, item := range list.Items {
			if slices.ContainsFunc(item.OwnerReferences, func(owner metav1.OwnerReference) bool { return owner.UID == resource.UID }) {
				objects = append(objects, kind.Kind+" "+item.Name)
			}
		}
	}
	return objects, unseen, nil
}

func adoptionText(report *adoption, resource *appsv1.WeightsAndBiases) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Helm release %s (%s %s, revision %d, %s), taken over by WeightsAndBiases %s with plan %s:\n",
		report.Release, report.Chart, report.ChartVersion, report.Revision, report.Status, resource.Name, short(report.Plan))
	section := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s (%d):\n", title, len(lines))
		for _, line := range lines {
			b.WriteString("  " + clean(line) + "\n")
		}
	}
	section("First, the owner reference to the resource is removed from", report.Owned)
	section("Stay as they are", report.Kept)
	section("Are changed", report.Changed)
	section("Are added", report.Added)
	section("Are removed", report.Removed)
	restarts := make([]string, 0, len(report.Restarts))
	for _, restart := range report.Restarts {
		line := restart.Object
		if restart.Why != "" {
			line += " (" + restart.Why + ")"
		}
		restarts = append(restarts, line)
	}
	section("Pods are replaced of", restarts)
	if len(report.Restarts) == 0 {
		b.WriteString("\nNo pod is replaced.\n")
	}
	if len(report.Unseen) > 0 {
		fmt.Fprintf(&b, "\nYou may not list %s, so that owner references of theirs are not known.\n", strings.Join(report.Unseen, ", "))
	}
	fmt.Fprintf(&b, "\nNothing was written. \"kubectl wandb diff %s\" shows every field.\n", resource.Name)
	if resource.Spec.Suspend {
		b.WriteString("Set spec.suspend to false to let the operator begin.\n")
	}
	return b.String()
}
