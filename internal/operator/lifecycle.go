package operator

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/release"
)

// observeLifecycle finds out what people said about changes, and what has become of the release since it was installed.
// It reads more than memory only where something asks for it.
func (r *Reconciler) observeLifecycle(ctx context.Context, v *view) error {
	o := &v.observation
	var err error
	if o.Rules, err = rulesOf(v.cr, v.now); err != nil {
		if v.specErr == nil {
			v.specErr = err
		}
		return nil
	}
	v.checked = r.executor.Checked(v.key)
	if err := r.observePlan(ctx, v); err != nil {
		return err
	}
	o.Wishes = wishesOf(v.cr, v.asked, o.Plan)
	if v.current == nil {
		return nil
	}
	if err := r.observeEarlier(ctx, v); err != nil {
		return err
	}
	if err := r.observeProbe(ctx, v); err != nil {
		return err
	}
	r.observeDrift(ctx, v)
	return r.observeRotation(ctx, v)
}

// observePlan looks for a plan where one may stand in the way.
func (r *Reconciler) observePlan(ctx context.Context, v *view) error {
	o := &v.observation
	foreign := v.current != nil && !v.current.Ours && o.Memory.Applied.Revision == 0
	if !o.Rules.Approval && !o.Rules.Windowed && !foreign && o.Intent != release.Suspend {
		return nil
	}
	var err error
	o.Plan, err = r.executor.Plans.Latest(ctx, v.key)
	return err // names the Secret
}

// observeEarlier finds the revision that a rollback would put in place, and whether it can read the data.
func (r *Reconciler) observeEarlier(ctx context.Context, v *view) error {
	o := &v.observation
	wanted := o.Wishes.RollbackTo
	if o.Latest.Status != helm.StatusFailed && wanted == 0 {
		return nil
	}
	if wanted == 0 || o.Wishes.RollbackAt.Equal(o.Memory.Handled.Rollback) {
		digest := ""
		if o.Desired != nil {
			digest = o.Desired.Digest
		}
		wanted = o.Memory.LastGood(o.Latest.Number, digest).Revision
	}
	if wanted == 0 || wanted == o.Latest.Number {
		return nil
	}
	earlier, err := r.helm.StoredStatement(ctx, v.key.Namespace, v.key.Name, wanted)
	if err != nil {
		return nil // Helm does not keep it any more, so there is nothing to go back to
	}
	newest, err := r.helm.StoredStatement(ctx, v.key.Namespace, v.key.Name, o.Latest.Number)
	if err != nil {
		return err // a fault that names the release
	}
	o.Earlier = &release.Earlier{Number: wanted, Name: o.Memory.Named(wanted)}
	o.Earlier.Safe, o.Earlier.Why = helm.CanRead(earlier, newest)
	return nil
}

func (r *Reconciler) observeProbe(ctx context.Context, v *view) error {
	o := &v.observation
	enabled, every := verifies(v.cr)
	if o.Latest.Status != helm.StatusDeployed {
		return nil
	}
	var err error
	if v.probed, err = r.helm.HasProbe(ctx, v.key.Namespace, v.key.Name, o.Latest.Number); err != nil {
		return err // a fault that names the release
	}
	probed := o.Memory.Probed
	o.Probe = release.Probe{
		Declared: enabled && v.probed, Revision: probed.Revision, At: probed.At, Every: every, Broken: probed.Broken,
	}
	return nil
}

// observeRotation compares the Secrets that the pods use with what they held when the pods were started.
func (r *Reconciler) observeRotation(ctx context.Context, v *view) error {
	applied := v.observation.Memory.Applied
	if applied.Revision != v.current.Revision || len(applied.Secrets) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(applied.Secrets))
	v.watched = append(v.watched, names...)
	marks, err := r.marks.Marks(ctx, v.key, names)
	if err != nil {
		return err
	}
	for _, name := range names {
		// A Secret that is away is a matter for the pods: restarting them would only take down what runs.
		if marks[name] != "" && marks[name] != applied.Secrets[name] {
			v.observation.Rotated = append(v.observation.Rotated, name)
		}
	}
	return nil
}

// marker names the content of Secrets by a hash that is keyed with the installation's own key: a plain one would let short
// passwords be guessed. It reads a Secret only when its version has changed.
type marker struct {
	reconciler *Reconciler

	mu    sync.Mutex
	known map[types.NamespacedName]marked
}

type marked struct{ version, mark string }

var _ release.Marks = (*marker)(nil)

// Marks implements release.Marks.
func (m *marker) Marks(ctx context.Context, key types.NamespacedName, secrets []string) (map[string]string, error) {
	marks := make(map[string]string, len(secrets))
	for _, name := range secrets {
		mark, err := m.mark(ctx, key, types.NamespacedName{Namespace: key.Namespace, Name: name})
		if err != nil {
			return nil, err
		}
		marks[name] = mark
	}
	return marks, nil
}

func (m *marker) mark(ctx context.Context, key, secret types.NamespacedName) (string, error) {
	r := m.reconciler
	version, err := r.refs.version(ctx, secret)
	if err != nil {
		return "", err
	}
	m.mu.Lock()
	known, ok := m.known[secret]
	m.mu.Unlock()
	if ok && known.version == version && version != "" {
		return known.mark, nil
	}
	data, err := secretData(ctx, r.live, secret)
	if err != nil {
		return "", err
	}
	mark := ""
	if data != nil {
		installation, err := r.installationKey(ctx, key)
		if err != nil {
			return "", err
		}
		mark = markOf(installation, data)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxMarks {
		m.known = map[types.NamespacedName]marked{}
	}
	m.known[secret] = marked{version: version, mark: mark}
	return mark, nil
}

// maxMarks bounds memory; a mark that was dropped costs one read.
const maxMarks = 4096

func markOf(key []byte, data map[string][]byte) string {
	mac := hmac.New(sha256.New, key)
	for _, name := range slices.Sorted(maps.Keys(data)) {
		_, _ = fmt.Fprintf(mac, "%d %s %d ", len(name), name, len(data[name]))
		mac.Write(data[name])
	}
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// licenceFault is what is wrong with the licence; a licence that only the deploy server can judge is not wrong.
func (v *view) licenceFault() error {
	if fault.Reason(v.licence.err, "") == appsv1.ReasonLicenseIssuerUnknown {
		return nil
	}
	return v.licence.err
}
