package kubectl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/request"
)

// conflictBackoff: console and command line rarely meet, and then only for the time of one write.
func conflictBackoff() wait.Backoff {
	return wait.Backoff{Steps: 6, Duration: 50 * time.Millisecond, Factor: 2, Jitter: 0.5}
}

// ask changes the requests of a resource and returns the mark that was given to change. Other keys of the Secret stay, and
// nothing is written where change changes nothing. change may be called several times, each time with what is there then.
func (p *plugin) ask(ctx context.Context, resource *appsv1.WeightsAndBiases, change func(*request.Set, request.Mark) error) (request.Mark, error) {
	who, err := p.caller(ctx)
	if err != nil {
		return request.Mark{}, err
	}
	mark := request.MarkOf(who, p.streams.Now())
	err = retry.RetryOnConflict(conflictBackoff(), func() error { return p.askOnce(ctx, resource.Name, mark, change) })
	if apierrors.IsConflict(err) {
		return mark, &fault.Error{
			Reason: "Conflict", Op: "write Secret " + resource.Name + userSuffix, Err: errors.New("somebody else writes it all the time"), Retry: true,
			Hint: "Run the command again.",
		}
	}
	return mark, err
}

func (p *plugin) askOnce(ctx context.Context, name string, mark request.Mark, change func(*request.Set, request.Mark) error) error {
	secret, err := p.secret(ctx, name+userSuffix)
	if err != nil {
		return err
	}
	if secret == nil {
		return &fault.Error{
			Reason: "SecretMissing", Op: "find Secret " + name + userSuffix, Err: errors.New("it does not exist"), Retry: true,
			Hint: "The operator makes it as soon as it sees the custom resource: check that it runs.",
		}
	}
	set, err := request.Decode(secret.Data)
	if err != nil {
		p.say("note: earlier requests cannot be read, and this one replaces them.")
		set = request.Set{}
	}
	before, encodeErr := set.Encode()
	if encodeErr != nil {
		return encodeErr
	}
	if err := change(&set, mark); err != nil {
		return err
	}
	after, encodeErr := set.Encode()
	if encodeErr != nil {
		return encodeErr
	}
	if err == nil && bytes.Equal(before, after) {
		return nil
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Data[request.Key] = after
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	// The resourceVersion that was read makes this fail where somebody else wrote meanwhile. The error is returned as it is:
	// the caller looks for conflicts.
	return p.client.Update(ctx, secret, client.FieldOwner(fieldManager))
}

// overruled says that the resource itself decides something.
func overruled(resource *appsv1.WeightsAndBiases, what, field, hint string) error {
	return &fault.Error{
		Reason: "ResourceWins", Op: what,
		Err:  fmt.Errorf("%s of WeightsAndBiases %s decides this, and the resource wins over requests", field, resource.Name),
		Hint: hint,
	}
}

// waitFlags are those of commands that can wait for the operator.
type waitFlags struct {
	wait    bool
	timeout time.Duration
}

// seen judges a resource after a request: the operator has acted (done), with an error where it failed.
type seen func(*appsv1.WeightsAndBiases) (done bool, err error)

// await waits until the operator has acted, and tells of its progress. before is the resource as it was read before the
// request was made.
func (p *plugin) await(ctx context.Context, flags waitFlags, before *appsv1.WeightsAndBiases, acted seen) error {
	if !flags.wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flags.timeout)
	defer cancel()
	told := ""
	err := p.follow(ctx, before.Name, func(resource *appsv1.WeightsAndBiases) (bool, error) {
		if now := progress(resource); now != told {
			told = now
			p.say("%s", now)
		}
		done, err := acted(resource)
		if done || err != nil {
			return done, err
		}
		if last := newError(before, resource); last != nil {
			return false, &failure{last}
		}
		return false, nil
	})
	var failed *failure
	switch {
	case errors.As(err, &failed):
		p.say("✗ %s: %s", failed.last.Reason, failed.last.Message)
		if failed.last.Hint != "" {
			p.say("hint: %s", failed.last.Hint)
		}
		return no()
	case err != nil && ctx.Err() != nil:
		p.say("✗ no end was seen within %s. The request stays; \"kubectl wandb status %s\" tells more.", flags.timeout, before.Name)
		return &verdict{ExitTimeout}
	case err != nil:
		return err
	}
	p.say("✓ the operator has acted.")
	return nil
}

// failure is what the operator failed with while it was waited for.
type failure struct{ last *appsv1.LastError }

func (f *failure) Error() string { return f.last.Reason + ": " + f.last.Message }

// newError returns the last error of a resource where it is another one than before.
func newError(before, now *appsv1.WeightsAndBiases) *appsv1.LastError {
	was, is := before.Status.LastError, now.Status.LastError
	switch {
	case is == nil:
		return nil
	case was == nil:
		return is
	case was.Reason == is.Reason && was.Message == is.Message && was.At.Equal(is.At):
		return nil
	}
	return is
}

func progress(resource *appsv1.WeightsAndBiases) string {
	if next := resource.Status.NextStep; next != "" {
		return next
	}
	if ready := condition(resource, appsv1.ConditionReady); ready != nil {
		return ready.Reason + ": " + ready.Message
	}
	return "waiting for the operator"
}
