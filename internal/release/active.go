package release

import (
	"bytes"
	"context"
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
}

// Load returns the memory of a release. An absent Secret is an empty memory, and so is one that cannot be read: the
// worst that follows is an upgrade that changes nothing, while an error would stop the operator for good.
func (a Active) Load(ctx context.Context, key types.NamespacedName) (Memory, error) {
	secret, err := a.get(ctx, key)
	if err != nil || secret == nil {
		return Memory{}, err
	}
	memory, err := DecodeMemory(secret.Data)
	if err != nil {
		return Memory{}, nil
	}
	return memory, nil
}

// Save writes the memory, and beside it the keys of layer where it is not nil. Keys that it does not know stay. It
// writes nothing where nothing differs.
func (a Active) Save(ctx context.Context, key types.NamespacedName, memory Memory, layer map[string][]byte) error {
	data, err := memory.Encode()
	if err != nil {
		return fmt.Errorf("write Secret %s: %w", ActiveName(key.Name), err)
	}
	maps.Copy(data, layer)
	secret, err := a.get(ctx, key)
	if err != nil {
		return err
	}
	if secret == nil {
		secret = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: key.Namespace, Name: ActiveName(key.Name), Labels: ObjectLabels(key.Name),
			},
			Data: data,
		}
		if err := a.Client.Create(ctx, secret); err != nil {
			return fmt.Errorf("create Secret %s: %w", secret.Name, err)
		}
		return nil
	}
	before := maps.Clone(secret.Data)
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, data)
	if maps.EqualFunc(before, secret.Data, bytes.Equal) {
		return nil
	}
	// The resourceVersion that was read makes this fail where somebody else wrote meanwhile.
	if err := a.Client.Update(ctx, secret); err != nil {
		return fmt.Errorf("write Secret %s: %w", secret.Name, err)
	}
	return nil
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
