package operator

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubewandb/kubewandb/internal/release"
)

// Suffixes of the Secrets beside a resource.
const (
	userSuffix         = "-spec-user"
	cachedSuffix       = "-latest-cached-release"
	passwordSuffix     = "-password"
	sessionSuffix      = "-session-keys"
	installationSuffix = "-installation"
)

// companions makes the Secrets that have to exist before the first installation. It never changes one that exists, and
// gives none an owner: what the person who deletes the resource wants to keep must not be collected with it.
type companions struct {
	// exists looks into the metadata cache, so that a pass in which all are there costs no request.
	exists client.Reader
	writer client.Writer
}

// companion is one Secret and how its first content is made.
type companion struct {
	suffix string
	fresh  func() (map[string][]byte, error)
}

func companionList() []companion {
	return []companion{
		{userSuffix, emptyUserLayer},
		{passwordSuffix, freshPassword},
		{sessionSuffix, freshSessionKeys},
		{installationSuffix, freshInstallation},
	}
}

func (c companions) ensure(ctx context.Context, key types.NamespacedName) error {
	for _, each := range companionList() {
		if err := c.ensureOne(ctx, key, each); err != nil {
			return err
		}
	}
	return nil
}

func (c companions) ensureOne(ctx context.Context, key types.NamespacedName, each companion) error {
	name := types.NamespacedName{Namespace: key.Namespace, Name: key.Name + each.suffix}
	known := &metav1.PartialObjectMetadata{}
	known.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := c.exists.Get(ctx, name, known)
	if err == nil || !apierrors.IsNotFound(err) {
		return err // nil, or an error of the cache that names the object
	}
	data, err := each.fresh()
	if err != nil {
		return fmt.Errorf("make Secret %s: %w", name.Name, err)
	}
	err = c.writer.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, Labels: release.ObjectLabels(key.Name)},
		Data:       data,
	})
	// The cache may be behind: what exists stays.
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create Secret %s: %w", name.Name, err)
	}
	return nil
}

func emptyUserLayer() (map[string][]byte, error) {
	return map[string][]byte{"values": []byte("{}"), "chart": []byte("null"), "metadata": []byte("null")}, nil
}

// freshPassword makes 24 characters that are easy to tell apart when read from a screen: 139 bits.
func freshPassword() (map[string][]byte, error) {
	const alphabet = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	password := make([]byte, 24)
	for i := range password {
		index, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			return nil, fmt.Errorf("read randomness: %w", err)
		}
		password[i] = alphabet[index.Int64()]
	}
	return map[string][]byte{"password": password}, nil
}

func freshSessionKeys() (map[string][]byte, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	return map[string][]byte{"console": []byte(base64.StdEncoding.EncodeToString(key))}, nil
}

func freshInstallation() (map[string][]byte, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("make installation id: %w", err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make installation key: %w", err)
	}
	return map[string][]byte{
		"id":  []byte(id.String()),
		"key": []byte(base64.StdEncoding.EncodeToString(private.Seed())),
	}, nil
}
