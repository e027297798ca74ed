package release

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ActiveName returns the name of the Secret that remembers what was applied to the release called name.
func ActiveName(name string) string { return name + "-spec-active" }

// Active reads and writes Secret <cr>-spec-active: the last specification that was applied, and the memory.
type Active struct {
	// Client reads and writes without a cache.
	Client client.Client
	// Known saves reads; nil reads each time.
	Known *Known
}

// Load returns the memory of a release. An absent Secret is an empty memory, and so is one that cannot be read: the
// worst that follows is an upgrade that changes nothing, while an error would stop the operator for good.
func (a Active) Load(ctx context.Context, key types.NamespacedName) (Memory, error) {
	known, ok, err := a.Known.get(ctx, key)
	if ok || err != nil {
		return known.memory, err
	}
	secret, err := a.get(ctx, key)
	if err != nil {
		return Memory{}, err
	}
	if secret == nil {
		a.Known.put(key, knownMemory{})
		return Memory{}, nil
	}
	memory, err := DecodeMemory(secret.Data)
	if err != nil {
		return Memory{}, nil
	}
	a.Known.put(key, knownMemory{version: secret.ResourceVersion, memory: memory})
	return memory, nil
}

// Save writes the memory, and beside it the keys of layer where it is not nil. Keys that it does not know stay. It
// writes nothing where nothing differs, and fails with a conflict where somebody else has written meanwhile.
func (a Active) Save(ctx context.Context, key types.NamespacedName, memory Memory, layer map[string][]byte) error {
	data, err := memory.Encode()
	if err != nil {
		return fmt.Errorf("write Secret %s: %w", ActiveName(key.Name), err)
	}
	known, ok, err := a.Known.get(ctx, key)
	if err != nil {
		return err
	}
	maps.Copy(data, layer)
	version, err := a.save(ctx, key, known, ok, data, layer)
	if err != nil {
		a.Known.drop(key)
		return err
	}
	a.Known.put(key, knownMemory{version: version, memory: memory})
	return nil
}

// save returns the resourceVersion after the write. What is known saves reading the Secret first.
func (a Active) save(
	ctx context.Context, key types.NamespacedName, known knownMemory, ok bool, data, layer map[string][]byte,
) (string, error) {
	switch {
	case ok && known.version == "":
		return a.create(ctx, key, data)
	case ok && layer == nil:
		before, err := known.memory.Encode()
		if err != nil {
			return "", fmt.Errorf("write Secret %s: %w", ActiveName(key.Name), err)
		}
		if maps.EqualFunc(before, data, bytes.Equal) {
			return known.version, nil
		}
		return a.patch(ctx, key, known.version, data)
	}
	secret, err := a.get(ctx, key)
	if err != nil {
		return "", err
	}
	if secret == nil {
		return a.create(ctx, key, data)
	}
	before := maps.Clone(secret.Data)
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, data)
	if maps.EqualFunc(before, secret.Data, bytes.Equal) {
		return secret.ResourceVersion, nil
	}
	// The resourceVersion that was read makes this fail where somebody else wrote meanwhile.
	if err := a.Client.Update(ctx, secret); err != nil {
		return "", fmt.Errorf("write Secret %s: %w", secret.Name, err)
	}
	return secret.ResourceVersion, nil
}

func (a Active) create(ctx context.Context, key types.NamespacedName, data map[string][]byte) (string, error) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: ActiveName(key.Name), Labels: ObjectLabels(key.Name)},
		Data:       data,
	}
	if err := a.Client.Create(ctx, secret); err != nil {
		return "", fmt.Errorf("create Secret %s: %w", secret.Name, err)
	}
	return secret.ResourceVersion, nil
}

// patch writes single keys over a state of the Secret that is known by its resourceVersion.
func (a Active) patch(ctx context.Context, key types.NamespacedName, version string, data map[string][]byte) (string, error) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: ActiveName(key.Name)}}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": version}, "data": data})
	if err != nil {
		return "", fmt.Errorf("write Secret %s: %w", secret.Name, err)
	}
	if err := a.Client.Patch(ctx, secret, client.RawPatch(types.MergePatchType, body)); err != nil {
		return "", fmt.Errorf("write Secret %s: %w", secret.Name, err)
	}
	return secret.ResourceVersion, nil
}

func (a Active) get(ctx context.Context, key types.NamespacedName) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	name := types.NamespacedName{Namespace: key.Namespace, Name: ActiveName(key.Name)}
	err := a.Client.Get(ctx, name, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Secret %s: %w", name.Name, err)
	}
	return secret, nil
}
