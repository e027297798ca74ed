package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/plan"
)

// PlanName returns the name of the Secret that holds the newest plan of the release called name.
func PlanName(name string) string { return name + "-plan" }

// Keys of Secret <cr>-plan beside those of package plan.
const (
	// keyAbout says which change the plan is of.
	keyAbout = "about"
	// keyNotes is what the chart tells its user.
	keyNotes = "notes"
)

// About says which change a plan is of.
type About struct {
	// Desired is the digest of the specification that it leads to.
	Desired string `json:"desired"`
	// Base is the revision that it starts from; 0 for a first installation.
	Base int `json:"base"`
}

// Plans keeps the newest plan of each release in Secret <cr>-plan, and what Decide needs of it in memory.
type Plans struct {
	// Client reads and writes without a cache.
	Client client.Client
	// Parse reads what a chart gave out of its text.
	Parse func(text, notes, namespace string) (*helm.Rendered, error)

	mu sync.Mutex
	// known has an entry for each release whose Secret was read; nil where there is none.
	known map[types.NamespacedName]*Plan
}

// kept is a plan with what applying it applies.
type kept struct {
	about    About
	plan     *plan.Plan
	rendered *helm.Rendered
}

// Latest returns the newest plan of a release; nil where there is none, or none that can be read. The Secret is read once
// in the life of the process.
func (p *Plans) Latest(ctx context.Context, key types.NamespacedName) (*Plan, error) {
	p.mu.Lock()
	known, read := p.known[key]
	p.mu.Unlock()
	if read {
		return known, nil
	}
	found, err := p.load(ctx, key)
	if err != nil {
		return nil, err
	}
	if found == nil {
		p.note(key, nil)
		return nil, nil
	}
	return p.note(key, found), nil
}

func (p *Plans) load(ctx context.Context, key types.NamespacedName) (*kept, error) {
	secret, err := p.get(ctx, key)
	if err != nil || secret == nil {
		return nil, err
	}
	found := &kept{}
	if err := json.Unmarshal(secret.Data[keyAbout], &found.about); err != nil {
		return nil, nil // made anew
	}
	var text string
	if found.plan, text, err = plan.Decode(secret.Data); err != nil {
		return nil, nil // made anew
	}
	if found.rendered, err = p.Parse(text, string(secret.Data[keyNotes]), key.Namespace); err != nil {
		return nil, nil // made anew
	}
	return found, nil
}

func (p *Plans) save(ctx context.Context, key types.NamespacedName, about About, made *plan.Plan, rendered *helm.Rendered) error {
	data, err := plan.Encode(made, rendered.Text)
	if err != nil {
		return err // a fault that says it all
	}
	if data[keyAbout], err = json.Marshal(about); err != nil {
		return fmt.Errorf("encode what the plan is of: %w", err)
	}
	data[keyNotes] = []byte(rendered.Notes)
	if err := p.write(ctx, key, data); err != nil {
		return err
	}
	p.note(key, &kept{about: about, plan: made})
	return nil
}

func (p *Plans) write(ctx context.Context, key types.NamespacedName, data map[string][]byte) error {
	secret, err := p.get(ctx, key)
	if err != nil {
		return err
	}
	if secret == nil {
		secret = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: PlanName(key.Name), Labels: ObjectLabels(key.Name)},
			Data:       data,
		}
		if err := p.Client.Create(ctx, secret); err != nil {
			return fmt.Errorf("create Secret %s: %w", secret.Name, err)
		}
		return nil
	}
	if maps.EqualFunc(secret.Data, data, bytes.Equal) {
		return nil
	}
	secret.Data = data
	if err := p.Client.Update(ctx, secret); err != nil {
		return fmt.Errorf("write Secret %s: %w", secret.Name, err)
	}
	return nil
}

func (p *Plans) get(ctx context.Context, key types.NamespacedName) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	name := types.NamespacedName{Namespace: key.Namespace, Name: PlanName(key.Name)}
	err := p.Client.Get(ctx, name, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Secret %s: %w", name.Name, err)
	}
	return secret, nil
}

// note remembers a plan in short.
func (p *Plans) note(key types.NamespacedName, found *kept) *Plan {
	var brief *Plan
	if found != nil {
		brief = briefly(found.about, found.plan)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[types.NamespacedName]*Plan{}
	}
	p.known[key] = brief
	return brief
}

func (p *Plans) forget(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, key)
}

func briefly(about About, made *plan.Plan) *Plan {
	status := made.Summary()
	return &Plan{
		Digest: made.Digest, Desired: about.Desired, Base: about.Base, Replaces: status.Restarts, Removes: int(status.Removed),
		MadeAt: made.CreatedAt, Status: status, Summary: planSentence(status),
	}
}

func planSentence(status appsv1.PlanStatus) string {
	text := fmt.Sprintf("a plan waits: %d to add, %d to change, %d to remove", status.Added, status.Changed, status.Removed)
	if status.Release != "" {
		text = fmt.Sprintf("release %s waits: %d to add, %d to change, %d to remove", status.Release, status.Added, status.Changed, status.Removed)
	}
	if len(status.Restarts) > 0 {
		text += ", pods of " + listed(status.Restarts) + " replaced"
	}
	return text
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
