package operator

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/channel"
	"github.com/kubewandb/kubewandb/internal/release"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// Keys of Secret <cr>-latest-cached-release beside those of a layer.
const (
	keyETag  = "etag"
	keyScope = "scope"
)

// Follower is what a pass needs of the release channel.
type Follower interface {
	Seed(key types.NamespacedName, cached channel.Cached)
	Follow(sub channel.Subscription)
	Forget(key types.NamespacedName)
	Latest(key types.NamespacedName) (channel.Snapshot, bool)
}

// following keeps one subscription for each resource, and the last answer of each in Secret <cr>-latest-cached-release.
type following struct {
	// trust is what the follower's answers have proven.
	trust    channel.Trust
	follower Follower
	// client reads and writes without a cache.
	client client.Client

	mu sync.Mutex
	// stored is what the Secret of each resource holds; an entry means that the Secret has been read.
	stored map[types.NamespacedName]stored
}

type stored struct{ scope, etag string }

// latest follows sub and returns what is known about it. It never waits for the deploy server.
func (f *following) latest(ctx context.Context, sub channel.Subscription) (channel.Snapshot, error) {
	if err := f.seed(ctx, sub.Key); err != nil {
		return channel.Snapshot{}, err
	}
	f.follower.Follow(sub)
	snapshot, _ := f.follower.Latest(sub.Key)
	if snapshot.Release == nil || snapshot.FromCache {
		return snapshot, nil
	}
	return snapshot, f.store(ctx, sub.Key, snapshot)
}

// frozen returns the stored answer for sub without asking for a newer one, or nil.
func (f *following) frozen(ctx context.Context, sub channel.Subscription) (*catalog.Release, error) {
	f.follower.Forget(sub.Key)
	f.forgetStored(sub.Key)
	cached, err := f.load(ctx, sub.Key)
	if err != nil || cached == nil || cached.Scope != sub.Scope() {
		return nil, err
	}
	return cached.Release, nil
}

// seed hands the stored answer to the follower, once in the life of the process.
func (f *following) seed(ctx context.Context, key types.NamespacedName) error {
	f.mu.Lock()
	_, read := f.stored[key]
	f.mu.Unlock()
	if read {
		return nil
	}
	cached, err := f.load(ctx, key)
	if err != nil {
		return err
	}
	known := stored{}
	if cached != nil {
		f.follower.Seed(key, *cached)
		known = stored{scope: cached.Scope, etag: cached.ETag}
	}
	f.note(key, known)
	return nil
}

// load reads the Secret. One that cannot be understood is as good as none: the deploy server knows better.
func (f *following) load(ctx context.Context, key types.NamespacedName) (*channel.Cached, error) {
	data, err := secretData(ctx, f.client, types.NamespacedName{Namespace: key.Namespace, Name: key.Name + cachedSuffix})
	if err != nil || data == nil {
		return nil, err
	}
	layer, err := spec.Decode(spec.LayerChannel, data)
	if err != nil {
		return nil, nil
	}
	return &channel.Cached{
		Scope: string(data[keyScope]), ETag: string(data[keyETag]),
		Release: &catalog.Release{Metadata: layer.Metadata, Chart: layer.Chart, Values: layer.Values},
	}, nil
}

func (f *following) store(ctx context.Context, key types.NamespacedName, snapshot channel.Snapshot) error {
	etag := snapshot.ETag
	if etag == "" {
		var err error
		if etag, err = snapshot.Release.ETag(); err != nil {
			return fmt.Errorf("cache release: %w", err)
		}
	}
	wanted := stored{scope: snapshot.Scope, etag: etag}
	f.mu.Lock()
	same := f.stored[key] == wanted
	f.mu.Unlock()
	if same {
		return nil
	}
	data, err := spec.Encode(channelLayer(snapshot.Release))
	if err != nil {
		return fmt.Errorf("cache release: %w", err)
	}
	data[keyScope], data[keyETag] = []byte(snapshot.Scope), []byte(snapshot.ETag)
	name := types.NamespacedName{Namespace: key.Namespace, Name: key.Name + cachedSuffix}
	if err := writeSecret(ctx, f.client, name, key.Name, data); err != nil {
		return err
	}
	f.note(key, wanted)
	return nil
}

func (f *following) note(key types.NamespacedName, known stored) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stored == nil {
		f.stored = map[types.NamespacedName]stored{}
	}
	f.stored[key] = known
}

func (f *following) forgetStored(key types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.stored, key)
}

// forget ends the subscription of a resource.
func (f *following) forget(key types.NamespacedName) {
	f.follower.Forget(key)
	f.forgetStored(key)
}

// writeSecret sets keys of a Secret of ours, and makes it where it is absent. Keys that data does not name stay.
func writeSecret(
	ctx context.Context, writer client.Client, name types.NamespacedName, instance string, data map[string][]byte,
) error {
	secret := &corev1.Secret{}
	err := writer.Get(ctx, name, secret)
	if apierrors.IsNotFound(err) {
		secret = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, Labels: release.ObjectLabels(instance)},
			Data:       data,
		}
		if err := writer.Create(ctx, secret); err != nil {
			return fmt.Errorf("create Secret %s: %w", name.Name, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Secret %s: %w", name.Name, err)
	}
	before := maps.Clone(secret.Data)
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, data)
	if maps.EqualFunc(before, secret.Data, bytes.Equal) {
		return nil
	}
	if err := writer.Update(ctx, secret); err != nil {
		return fmt.Errorf("write Secret %s: %w", name.Name, err)
	}
	return nil
}
