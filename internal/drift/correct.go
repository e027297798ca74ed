package drift

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/csaupgrade"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// Correction is what Correct did.
type Correction struct {
	// Corrected names the objects that are as installed again, with what had differed.
	Corrected []appsv1.DriftStatus
	// Refused names the objects that were left as they are, with the reason: "Job a: Invalid (spec.template)".
	Refused []string
}

// Message sums up the correction for an event. It is empty where nothing was done.
func (c Correction) Message() string {
	text := Report{Drifted: c.Corrected}.driftedMessage()
	if text != "" {
		text = "Corrected: " + text
	}
	if len(c.Refused) == 0 {
		return text
	}
	if text != "" {
		text += ". "
	}
	return text + "Not corrected: " + listed(c.Refused, shownObjects)
}

// Correct brings the objects that differ back to what the manifest says, and makes those again that were removed. What is
// ignored stays as it is; hooks are never applied, and volume claims never shrink. It writes with config, which the caller
// may have fenced, and compares each object once more right before, so that it writes nothing that is not needed.
//
// An error is a fault.Error and means that the API server did not answer; the correction then says what was done before.
func (w *Watcher) Correct(ctx context.Context, config *rest.Config, release Release) (Correction, error) {
	op := "correct drift of release " + release.Key.String()
	done := Correction{}
	objects, err := w.locateAll(ctx, release)
	if err != nil {
		return done, interrupted(op, err)
	}
	examiner, err := newExaminer(direct(config), w.config.Mapper, release)
	if err != nil {
		return done, interrupted(op, err)
	}
	suspects := w.suspects(release)
	for _, object := range objects {
		if suspects != nil && !suspects[object.ref] {
			continue
		}
		finding, why, err := examiner.correct(ctx, object)
		if err != nil {
			return done, interrupted(op, err)
		}
		switch {
		case why != "":
			done.Refused = append(done.Refused, examiner.label(object)+": "+why)
		case finding != nil:
			done.Corrected = append(done.Corrected, *finding)
		}
		w.recheck(release, object.ref)
	}
	return done, nil
}

// suspects are the objects that differed at the last look; nil where there was none, so that all are.
func (w *Watcher) suspects(release Release) map[Ref]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.releases[release.Key]
	if s == nil || s.id != release.ID || !s.loaded {
		return nil
	}
	found := map[Ref]bool{}
	for _, object := range s.objects {
		if object.finding != nil {
			found[object.ref] = true
		}
	}
	return found
}

// recheck has an object compared at the next look.
func (w *Watcher) recheck(release Release, ref Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.releases[release.Key]
	if s == nil {
		return
	}
	for _, object := range s.objects {
		if object.ref == ref {
			object.due = time.Now()
		}
	}
	w.schedule(release.Key, s)
}

// correct returns what had differed and is corrected now, or why it was refused.
func (e *examiner) correct(ctx context.Context, object located) (finding *appsv1.DriftStatus, why string, err error) {
	found, err := e.examine(ctx, object)
	if err != nil {
		return nil, "", err
	}
	switch {
	case found.problem != "":
		return nil, found.problem, nil
	case found.finding == nil:
		return nil, "", nil
	case found.live != nil && found.live.GetDeletionTimestamp() != nil:
		return nil, "it is being deleted", nil
	case !found.kept:
		return nil, "a list holds both what is ignored and what is not", nil
	case found.grown && len(found.finding.Paths) == 1:
		return nil, "a volume claim never shrinks", nil
	}
	if found.typed {
		_, err = e.apply(ctx, object, found.content, false)
	} else {
		err = e.replace(ctx, object, found)
	}
	if err != nil {
		if status := answered(err); status != nil {
			return nil, reasonOf(status), nil
		}
		return nil, "", err
	}
	return found.finding, "", nil
}

// replace corrects an object that server-side apply cannot merge, because of what others added to its lists for example:
// an update takes that out, its fields become those of our apply, and only then it is applied.
func (e *examiner) replace(ctx context.Context, object located, found verdict) error {
	content := unfolded(found.content)
	updated, err := e.update(ctx, object, overlay(found.live.Object, content, true), false)
	if apierrors.IsInvalid(err) {
		updated, err = e.update(ctx, object, overlay(found.live.Object, content, false), false)
	}
	if err != nil {
		return err
	}
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(updated, sets.New(FieldManager), FieldManager)
	if err != nil {
		return fmt.Errorf("read managed fields of %s: %w", e.label(object), errors.New("they are invalid"))
	}
	if len(patch) > 0 {
		within, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		options := metav1.PatchOptions{FieldManager: FieldManager}
		if _, err := e.resource(object).Patch(within, object.ref.Name, types.JSONPatchType, patch, options); err != nil {
			return err // correct classifies it
		}
	}
	if _, err := e.apply(ctx, object, found.content, false); err != nil {
		if status := answered(err); status == nil || !isUntypeable(status) {
			return err
		}
		// The update has done it; the kind does not take server-side apply.
	}
	return nil
}
