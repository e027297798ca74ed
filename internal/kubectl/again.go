package kubectl

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/request"
)

// askAwake makes a request that nobody would act on while the operator is suspended.
func (p *plugin) askAwake(
	ctx context.Context, resource *appsv1.WeightsAndBiases, what string, change func(*request.Set, request.Mark),
) (request.Mark, error) {
	if resource.Spec.Suspend {
		return request.Mark{}, overruled(resource, what, "spec.suspend", "Set spec.suspend to false where the resource is kept.")
	}
	return p.ask(ctx, resource, func(set *request.Set, mark request.Mark) error {
		if set.Suspend != nil {
			return &fault.Error{
				Reason: appsv1.ReasonSuspended, Op: what, Err: fmt.Errorf("%s has suspended the operator", set.Suspend.By),
				Hint: fmt.Sprintf(`Run "kubectl wandb resume %s" first.`, resource.Name),
			}
		}
		change(set, mark)
		return nil
	})
}

func (p *plugin) rollback(ctx context.Context, name, text string, unsafe bool, flags waitFlags) error {
	revision, err := strconv.Atoi(text)
	if err != nil || revision < 1 {
		return &fault.Error{
			Reason: "RevisionInvalid", Op: fmt.Sprintf("read revision %q", text), Err: errors.New("revisions are numbers from 1"),
			Hint: `"kubectl wandb status" lists them under History.`,
		}
	}
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	if err := p.revisionExists(ctx, resource, revision); err != nil {
		return err
	}
	_, err = p.askAwake(ctx, resource, "roll back", func(set *request.Set, mark request.Mark) {
		set.Rollback = &request.Rollback{Mark: mark, Revision: revision, Unsafe: unsafe}
	})
	if err != nil {
		return err
	}
	p.say("Revision %d is asked for. Helm makes a new revision of it, unless its release cannot read the data any more.", revision)
	return p.await(ctx, flags, resource, newRevision(resource))
}

// revisionExists looks into Helm's storage, where the caller may: the operator can only go back to what is kept there.
func (p *plugin) revisionExists(ctx context.Context, resource *appsv1.WeightsAndBiases, revision int) error {
	problem := &fault.Error{
		Reason: "RevisionUnknown", Op: fmt.Sprintf("go back to revision %d", revision),
		Hint: `"kubectl wandb status" lists revisions under History.`,
	}
	if release := resource.Status.Release; release != nil && release.Revision == int64(revision) {
		problem.Err = errors.New("it is what runs")
		return problem
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	stored := &metav1.PartialObjectMetadata{}
	stored.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	name := fmt.Sprintf("sh.helm.release.v1.%s.v%d", resource.Name, revision)
	err := p.client.Get(ctx, types.NamespacedName{Namespace: resource.Namespace, Name: name}, stored)
	switch {
	case apierrors.IsNotFound(err):
		problem.Err = errors.New("Helm keeps no such revision")
		return problem
	case err != nil && !apierrors.IsForbidden(err):
		return fmt.Errorf("look for revision %d: %w", revision, err)
	}
	return nil
}

func (p *plugin) retry(ctx context.Context, name string, flags waitFlags) error {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	_, err = p.askAwake(ctx, resource, "try again", func(set *request.Set, mark request.Mark) { set.Retry = &mark })
	if err != nil {
		return err
	}
	p.say("What has failed is tried again at once.")
	revised := newRevision(resource)
	return p.await(ctx, flags, resource, func(now *appsv1.WeightsAndBiases) (bool, error) {
		if done, err := revised(now); done || err != nil {
			return done, err
		}
		// A step that had failed before it reached Helm can succeed without a new revision.
		return resource.Status.LastError != nil && now.Status.LastError == nil && settled(now), nil
	})
}

func (p *plugin) force(ctx context.Context, name string, flags waitFlags) error {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	_, err = p.askAwake(ctx, resource, "apply the specification now", func(set *request.Set, mark request.Mark) {
		set.Force = &mark
	})
	if err != nil {
		return err
	}
	p.say("The specification is applied now, as a new revision.")
	return p.await(ctx, flags, resource, newRevision(resource))
}
