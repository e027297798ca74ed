package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// licence is the licence of a resource and what is known about it.
type licence struct {
	// token is empty where no layer sets one.
	token redact.Secret
	// secret is the Secret that the token comes from, or should come from; empty for a token in the values.
	secret string
	// claims are nil where the token could not be verified.
	claims *license.Claims
	// err says why the licence is not known to be good: a *fault.Error.
	err error
}

// usable tells that the deploy server may be asked in the name of this licence: it is good, absent, expired, or signed by
// somebody whom only the server knows.
func (l licence) usable() bool {
	if l.err == nil {
		return true
	}
	switch fault.Reason(l.err, "") {
	case license.ReasonIssuerUnknown, license.ReasonExpired, license.ReasonNotYetValid:
		return true
	default:
		return false
	}
}

// over tells that the licence is good but its time is over: what runs stays, and nothing newer is taken.
func (l licence) over() bool { return fault.Reason(l.err, "") == license.ReasonExpired }

// ends returns when the licence ends; zero where that is not known.
func (l licence) ends() time.Time {
	if l.claims == nil {
		return time.Time{}
	}
	return l.claims.ExpiresAt
}

// expiresIn returns when the verdict changes by itself, or 0.
func (l licence) expiresIn(now time.Time) time.Duration {
	if l.claims == nil || l.claims.ExpiresAt.IsZero() {
		return 0
	}
	return max(l.claims.ExpiresAt.Add(license.ClockLeeway+time.Second).Sub(now), 0)
}

// findLicence looks for the licence: first global.license of the resource, then of the user layer, then
// global.licenseSecret in the same order. A value wins over a Secret even where it stands in the lower layer, as it
// always did.
func findLicence(
	ctx context.Context, reader client.Reader, namespace string, layers []spec.Layer, keys *license.KeySet, now time.Time,
) (licence, error) {
	for _, layer := range layers {
		if token := text(layer.Values, "global", "license"); token != "" {
			found := licence{token: redact.Secret(strings.TrimSpace(token))}
			return verified(found, "global.license of layer "+layer.Name, keys, now), nil
		}
	}
	for _, layer := range layers {
		name := text(layer.Values, "global", "licenseSecret", "name")
		if name == "" {
			continue
		}
		// The chart has this default as well; today's operator does not, and asks without a licence.
		key := text(layer.Values, "global", "licenseSecret", "key")
		if key == "" {
			key = "license"
		}
		return licenceFromSecret(ctx, reader, types.NamespacedName{Namespace: namespace, Name: name}, key, keys, now)
	}
	return licence{}, nil
}

func licenceFromSecret(
	ctx context.Context, reader client.Reader, name types.NamespacedName, key string, keys *license.KeySet, now time.Time,
) (licence, error) {
	data, err := secretData(ctx, reader, name)
	if err != nil {
		return licence{}, err
	}
	found := licence{secret: name.Name, token: redact.Secret(strings.TrimSpace(string(data[key])))}
	if found.token == "" {
		problem := errors.New("the Secret does not exist")
		if data != nil {
			problem = fmt.Errorf("it has no key %q, or an empty one", key)
		}
		found.err = &fault.Error{
			Reason: appsv1.ReasonLicenseSecretNotFound, Op: "read licence from Secret " + name.Name, Err: problem,
			Hint: fmt.Sprintf("Run `kubectl create secret generic %s -n %s --from-literal=%s=<licence>`, or mend global.licenseSecret.",
				name.Name, name.Namespace, key),
		}
		return found, nil
	}
	return verified(found, fmt.Sprintf("global.licenseSecret %s, key %s", name.Name, key), keys, now), nil
}

// verified checks a licence; a failure names the place where a person finds it.
func verified(found licence, place string, keys *license.KeySet, now time.Time) licence {
	var err error
	if found.claims, err = license.Verify(found.token, keys, now); err != nil {
		found.err = fmt.Errorf("%s: %w", place, err)
	}
	return found
}
