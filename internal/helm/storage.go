package helm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	ri "helm.sh/helm/v4/pkg/release"
	rcommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// storageGrace is how long an action may still write to Helm's storage after it was cancelled, so that the revision says
// "failed" rather than "pending" for ever.
const storageGrace = 15 * time.Second

// store is Helm's storage as one action sees it.
type store struct {
	*storage.Storage
	secrets *checkedSecrets
}

// openStore opens the storage of a namespace. The context's end stops reads and writes after storageGrace; close ends the
// store at once.
func (c *Client) openStore(ctx context.Context, namespace string, secrets []redact.Secret) (*store, context.CancelFunc) {
	outliving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(storageGrace, cancel)
		context.AfterFunc(outliving, func() { timer.Stop() })
	})
	checked := &checkedSecrets{
		SecretInterface: c.clientset.CoreV1().Secrets(namespace),
		ctx:             outliving,
		versions:        map[string]string{},
	}
	backend := driver.NewSecrets(checked)
	backend.SetLogger(c.logger.Handler())
	opened := storage.Init(&maskingDriver{Driver: backend, secrets: secrets})
	opened.SetLogger(c.logger.Handler())
	opened.MaxHistory = c.cfg.MaxHistory
	return &store{Storage: opened, secrets: checked}, func() { stop(); cancel() }
}

// last returns the highest revision, or nil where there is none.
func (s *store) last(name string) (*release.Release, error) {
	found, err := s.Last(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read release %s: %w", name, err)
	}
	return asRelease(found)
}

func asRelease(found ri.Releaser) (*release.Release, error) {
	switch r := found.(type) {
	case *release.Release:
		return r, nil
	case release.Release:
		return &r, nil
	default:
		return nil, fmt.Errorf("read release: unknown kind %T", found)
	}
}

// settle turns a revision that the action has left pending into a failed one.
func (s *store) settle(name, reason string) error {
	last, err := s.last(name)
	if err != nil || last == nil || !last.Info.Status.IsPending() {
		return err
	}
	last.SetStatus(rcommon.StatusFailed, reason)
	if err := s.Update(last); err != nil {
		return fmt.Errorf("record failure of revision %d: %w", last.Version, err)
	}
	return nil
}

// checkedSecrets writes release Secrets only where they are still as this action has read or written them. Helm's
// driver overwrites blindly; two actors, of which one was thought dead, would then tell different histories.
type checkedSecrets struct {
	corev1client.SecretInterface
	ctx context.Context // Helm's driver passes context.Background(); this is the action's reach into it

	mu       sync.Mutex
	versions map[string]string
	created  bool
}

var errUnreadRelease = errors.New("the release Secret was not read by this action before")

func (s *checkedSecrets) Get(_ context.Context, name string, options metav1.GetOptions) (*corev1.Secret, error) {
	secret, err := s.SecretInterface.Get(s.ctx, name, options)
	if err != nil {
		return nil, err // the driver tests for API errors
	}
	s.saw(secret)
	return secret, nil
}

func (s *checkedSecrets) List(_ context.Context, options metav1.ListOptions) (*corev1.SecretList, error) {
	list, err := s.SecretInterface.List(s.ctx, options)
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		s.saw(&list.Items[i])
	}
	return list, nil
}

func (s *checkedSecrets) Create(_ context.Context, secret *corev1.Secret, options metav1.CreateOptions) (*corev1.Secret, error) {
	created, err := s.SecretInterface.Create(s.ctx, secret, options)
	if err != nil {
		return nil, err
	}
	s.saw(created)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created = true
	return created, nil
}

func (s *checkedSecrets) Update(_ context.Context, secret *corev1.Secret, options metav1.UpdateOptions) (*corev1.Secret, error) {
	version := s.versionOf(secret.Name)
	if version == "" {
		return nil, fmt.Errorf("update %s: %w", secret.Name, errUnreadRelease)
	}
	secret.ResourceVersion = version
	updated, err := s.SecretInterface.Update(s.ctx, secret, options)
	if err != nil {
		return nil, err
	}
	s.saw(updated)
	return updated, nil
}

func (s *checkedSecrets) Delete(_ context.Context, name string, options metav1.DeleteOptions) error {
	if version := s.versionOf(name); version != "" {
		options.Preconditions = &metav1.Preconditions{ResourceVersion: &version}
	}
	return s.SecretInterface.Delete(s.ctx, name, options)
}

func (s *checkedSecrets) saw(secret *corev1.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[secret.Name] = secret.ResourceVersion
}

func (s *checkedSecrets) versionOf(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versions[name]
}

// wrote tells whether the action has made a revision.
func (s *checkedSecrets) wrote() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.created
}

// maskingDriver keeps credentials out of the descriptions of revisions, which `helm history` shows to anybody who may
// list them.
type maskingDriver struct {
	driver.Driver
	secrets []redact.Secret
}

func (d *maskingDriver) Create(key string, rel ri.Releaser) error {
	d.mask(rel)
	return d.Driver.Create(key, rel) // the storage tests for the driver's errors
}

func (d *maskingDriver) Update(key string, rel ri.Releaser) error {
	d.mask(rel)
	return d.Driver.Update(key, rel)
}

func (d *maskingDriver) mask(rel ri.Releaser) {
	if r, ok := rel.(*release.Release); ok && r.Info != nil {
		r.Info.Description = spec.MaskText(r.Info.Description, d.secrets)
	}
}

// SetLogger is what storage.Init looks for in a driver.
func (d *maskingDriver) SetLogger(handler slog.Handler) {
	if logging, ok := d.Driver.(interface{ SetLogger(slog.Handler) }); ok {
		logging.SetLogger(handler)
	}
}
