package helm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	ri "helm.sh/helm/v4/pkg/release"
	rcommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
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
	driver  *maskingDriver
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
		client:          c,
		namespace:       namespace,
		seen:            map[string]*corev1.Secret{},
	}
	backend := driver.NewSecrets(checked)
	backend.SetLogger(c.logger.Handler())
	masking := &maskingDriver{Driver: backend, secrets: secrets}
	opened := storage.Init(masking)
	opened.SetLogger(c.logger.Handler())
	opened.MaxHistory = c.cfg.MaxHistory
	return &store{Storage: opened, secrets: checked, driver: masking}, func() { stop(); cancel() }
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
	s.secrets.forgetView() // what the action could not write, somebody else may have touched
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
//
// It reads the history of a release once for an action, where Helm's storage reads it up to five times, and answers from
// that view, which follows the action's own writes. Whatever somebody else writes meanwhile shows in the checks.
type checkedSecrets struct {
	corev1client.SecretInterface
	ctx       context.Context // Helm's driver passes context.Background(); this is the action's reach into it
	client    *Client
	namespace string

	mu sync.Mutex
	// seen holds every Secret as it was read or written last.
	seen map[string]*corev1.Secret
	// viewOf is the release whose Secrets are all in seen; empty where none was listed yet.
	viewOf  string
	created bool
}

var errUnreadRelease = errors.New("the release Secret was not read by this action before")

func (s *checkedSecrets) Get(_ context.Context, name string, options metav1.GetOptions) (*corev1.Secret, error) {
	if known := s.fromView(name); known != nil {
		return known, nil
	}
	secret, err := s.SecretInterface.Get(s.ctx, name, options)
	if err != nil {
		return nil, err // the driver tests for API errors
	}
	s.saw(secret)
	return secret, nil
}

// List answers from the view once the history of the release was read.
func (s *checkedSecrets) List(_ context.Context, options metav1.ListOptions) (*corev1.SecretList, error) {
	selector, err := labels.ConvertSelectorToLabelsMap(options.LabelSelector)
	name := selector["name"]
	if err != nil || name == "" || selector["owner"] != "helm" {
		return s.list(options)
	}
	if !s.viewed(name) {
		if err := s.view(name, options); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := &corev1.SecretList{}
	for _, key := range slices.Sorted(maps.Keys(s.seen)) {
		if secret := s.seen[key]; selector.AsSelector().Matches(labels.Set(secret.Labels)) {
			list.Items = append(list.Items, *shallow(secret))
		}
	}
	return list, nil
}

func (s *checkedSecrets) list(options metav1.ListOptions) (*corev1.SecretList, error) {
	list, err := s.SecretInterface.List(s.ctx, options)
	if err != nil {
		return nil, err // the driver words it
	}
	for i := range list.Items {
		s.saw(&list.Items[i])
	}
	return list, nil
}

// view reads every revision of a release.
func (s *checkedSecrets) view(name string, options metav1.ListOptions) error {
	if !s.client.unknownRelease(s.ctx, s.namespace, name) {
		options.LabelSelector = labels.Set{"owner": "helm", "name": name}.AsSelector().String()
		if _, err := s.list(options); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.viewOf = name
	return nil
}

func (s *checkedSecrets) viewed(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.viewOf == name
}

// fromView returns a Secret of the release that was listed; nil where it has to be asked for.
func (s *checkedSecrets) fromView(name string) *corev1.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.seen[name]; known != nil && s.viewOf != "" && known.Labels["name"] == s.viewOf {
		return shallow(known)
	}
	return nil
}

// forgetView makes the next question go to the API server.
func (s *checkedSecrets) forgetView() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.viewOf = ""
	clear(s.seen)
}

// shallow copies what the SDK changes: labels, but never the content.
func shallow(secret *corev1.Secret) *corev1.Secret {
	copied := *secret
	secret.ObjectMeta.DeepCopyInto(&copied.ObjectMeta)
	return &copied
}

func (s *checkedSecrets) Create(_ context.Context, secret *corev1.Secret, options metav1.CreateOptions) (*corev1.Secret, error) {
	created, err := s.SecretInterface.Create(s.ctx, secret, options)
	if err != nil {
		return nil, err // the driver tests for API errors
	}
	s.wroteSecret(created)
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
		return nil, err // the driver words it
	}
	s.wroteSecret(updated)
	return updated, nil
}

func (s *checkedSecrets) Delete(_ context.Context, name string, options metav1.DeleteOptions) error {
	if version := s.versionOf(name); version != "" {
		options.Preconditions = &metav1.Preconditions{ResourceVersion: &version}
	}
	if err := s.SecretInterface.Delete(s.ctx, name, options); err != nil {
		return err // the driver words it
	}
	s.mu.Lock()
	secret := s.seen[name]
	delete(s.seen, name)
	s.mu.Unlock()
	if secret != nil {
		s.client.ledger.note(s.releaseOf(secret), written{item: metadataOf(secret), deleted: true})
	}
	return nil
}

func (s *checkedSecrets) releaseOf(secret *corev1.Secret) types.NamespacedName {
	return types.NamespacedName{Namespace: s.namespace, Name: secret.Labels["name"]}
}

func (s *checkedSecrets) wroteSecret(secret *corev1.Secret) {
	s.saw(secret)
	s.client.ledger.note(s.releaseOf(secret), written{item: metadataOf(secret)})
}

// metadataOf returns what an index shows of a release Secret.
func metadataOf(secret *corev1.Secret) metav1.PartialObjectMetadata {
	item := metav1.PartialObjectMetadata{}
	item.Namespace, item.Name, item.UID = secret.Namespace, secret.Name, secret.UID
	item.ResourceVersion, item.Labels = secret.ResourceVersion, maps.Clone(secret.Labels)
	return item
}

func (s *checkedSecrets) saw(secret *corev1.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[secret.Name] = secret
}

// versionOf returns the resourceVersion that a Secret had last; empty where this action has not read it.
func (s *checkedSecrets) versionOf(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.seen[name]; known != nil {
		return known.ResourceVersion
	}
	return ""
}

// identityOf names the state of a Secret as listRevisions does.
func (s *checkedSecrets) identityOf(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.seen[name]; known != nil {
		return string(known.UID) + "/" + known.ResourceVersion
	}
	return ""
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

	mu sync.Mutex
	// newest is the highest revision that was written, and key the name of its Secret.
	newest *release.Release
	key    string
}

func (d *maskingDriver) Create(key string, rel ri.Releaser) error {
	d.mask(rel)
	err := d.Driver.Create(key, rel)
	d.keep(key, rel, err)
	return err // the storage tests for the driver's errors
}

func (d *maskingDriver) Update(key string, rel ri.Releaser) error {
	d.mask(rel)
	err := d.Driver.Update(key, rel)
	d.keep(key, rel, err)
	return err
}

func (d *maskingDriver) mask(rel ri.Releaser) {
	if r, ok := rel.(*release.Release); ok && r.Info != nil {
		r.Info.Description = spec.MaskText(r.Info.Description, d.secrets)
	}
}

func (d *maskingDriver) keep(key string, rel ri.Releaser, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, ok := rel.(*release.Release); ok && err == nil && (d.newest == nil || r.Version >= d.newest.Version) {
		d.newest, d.key = r, key
	}
}

// made returns the revision that the action has written last; nil where it wrote none.
func (s *store) made(c *Client) *Release {
	s.driver.mu.Lock()
	newest, key := s.driver.newest, s.driver.key
	s.driver.mu.Unlock()
	if newest == nil || newest.Info == nil {
		return nil
	}
	rel := c.toRelease(newest)
	if identity := s.secrets.identityOf(key); identity != "" {
		c.releases.put(types.NamespacedName{Namespace: rel.Namespace, Name: rel.Name}, identity, rel)
	}
	return rel
}

// SetLogger is what storage.Init looks for in a driver.
func (d *maskingDriver) SetLogger(handler slog.Handler) {
	if logging, ok := d.Driver.(interface{ SetLogger(slog.Handler) }); ok {
		logging.SetLogger(handler)
	}
}
