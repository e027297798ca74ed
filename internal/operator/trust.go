package operator

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// identity is what Secret <cr>-installation holds.
type identity struct {
	version string
	key     []byte
	trust   channel.Trust
}

// trusted returns the follower for the trust that the resource asks for.
func (r *Reconciler) trusted(ctx context.Context, v *view) (*following, error) {
	known, err := r.identity(ctx, v.key)
	if err != nil {
		return nil, err
	}
	wanted := wantedTrust(r.config.Trust, known.trust, v.cr)
	chosen := r.followed[wanted]
	if chosen == nil {
		return nil, &fault.Error{
			Reason: "TrustInvalid", Op: fmt.Sprintf("follow the channel with trust %s: it has no root to verify signatures against", wanted),
			Hint: "Give the operator the publisher's root.json (chart value channel.root), or set spec.update.trust: TLS in the resource. Signed never falls back by itself.",
		}
	}
	for trust, each := range r.followed {
		if trust != wanted {
			each.forget(v.key)
		}
	}
	return chosen, nil
}

// wantedTrust is what the operator is set to, unless signatures were accepted before: then only a person takes that back,
// in the resource.
func wantedTrust(own, recorded channel.Trust, cr *appsv1.WeightsAndBiases) channel.Trust {
	if cr.Spec.Update != nil && cr.Spec.Update.Trust != "" {
		return channel.Trust(cr.Spec.Update.Trust)
	}
	if recorded == channel.TrustSigned {
		return channel.TrustSigned
	}
	return own
}

// recordTrust notes in Secret <cr>-installation that a signed release was accepted, so that from now on an operator that
// is set to TLS by mistake takes none that is not.
func (r *Reconciler) recordTrust(ctx context.Context, v *view) error {
	known, err := r.identity(ctx, v.key)
	if err != nil || known.trust == channel.TrustSigned {
		return err
	}
	name := types.NamespacedName{Namespace: v.key.Namespace, Name: v.key.Name + installationSuffix}
	return writeSecret(ctx, r.live, name, v.key.Name, map[string][]byte{"trust": []byte(channel.TrustSigned)})
}

// installationKey is what digests are keyed with.
func (r *Reconciler) installationKey(ctx context.Context, key types.NamespacedName) ([]byte, error) {
	known, err := r.identity(ctx, key)
	return known.key, err
}

// identity reads Secret <cr>-installation, from memory where it has not changed.
func (r *Reconciler) identity(ctx context.Context, key types.NamespacedName) (identity, error) {
	name := types.NamespacedName{Namespace: key.Namespace, Name: key.Name + installationSuffix}
	version, err := r.refs.version(ctx, name)
	if err != nil {
		return identity{}, err
	}
	r.mu.Lock()
	known, ok := r.keys[key]
	r.mu.Unlock()
	if ok && version != "" && known.version == version {
		return known, nil
	}
	data, err := secretData(ctx, r.live, name)
	if err != nil {
		return identity{}, err
	}
	seed, err := base64.StdEncoding.DecodeString(string(data["key"]))
	if err != nil || len(seed) == 0 {
		return identity{}, &fault.Error{
			Reason: appsv1.ReasonInternalError, Op: "read Secret " + name.Name, Retry: true,
			Err:  errors.New("its key is missing or no base64"),
			Hint: "Delete the Secret to give this installation a new identity.",
		}
	}
	known = identity{version: version, key: seed, trust: channel.Trust(data["trust"])}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		r.keys = map[types.NamespacedName]identity{}
	}
	r.keys[key] = known
	return known, nil
}
