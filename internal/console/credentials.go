package console

import (
	"context"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// credentialsMemory is how long a session is checked against the same reading of the Secrets: short enough that a changed
// password ends sessions at once for a person, long enough that a page with several requests asks once.
const credentialsMemory = 2 * time.Second

// sessionKeyBytes is the least length of the key that signs sessions.
const sessionKeyBytes = 32

// keyring is one reading of the console's two Secrets.
type keyring struct {
	password redact.Secret
	// sessionKey signs session tokens.
	sessionKey []byte
}

// credentials reads `<cr>-password` and `<cr>-session-keys`.
type credentials struct {
	get  func(ctx context.Context, name string) (*corev1.Secret, error)
	name string
	hint string
	now  func() time.Time

	mu     sync.Mutex
	held   keyring
	readAt time.Time
}

func newCredentials(cfg Config) *credentials {
	secrets := cfg.Kube.CoreV1().Secrets(cfg.ReleaseNamespace)
	where := "the operator"
	if cfg.OperatorNamespace != "" {
		where = "the operator in namespace " + cfg.OperatorNamespace
	}
	return &credentials{
		get: func(ctx context.Context, name string) (*corev1.Secret, error) {
			return secrets.Get(ctx, name, metav1.GetOptions{})
		},
		name: cfg.ReleaseName,
		hint: where + " writes it before the first install: check that it runs.",
		now:  cfg.now,
	}
}

// live reads both Secrets now, as a sign-in needs it.
func (c *credentials) live(ctx context.Context) (keyring, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read(ctx)
}

// recent returns a reading that is at most credentialsMemory old.
func (c *credentials) recent(ctx context.Context) (keyring, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := c.now().Sub(c.readAt); age >= 0 && age < credentialsMemory {
		return c.held, nil
	}
	return c.read(ctx)
}

func (c *credentials) read(ctx context.Context) (keyring, error) {
	ctx, cancel := context.WithTimeout(ctx, kubeDeadline)
	defer cancel()
	password, err := c.key(ctx, c.name+"-password", "password")
	if err != nil {
		return keyring{}, err
	}
	encoded, err := c.key(ctx, c.name+"-session-keys", "console")
	if err != nil {
		return keyring{}, err
	}
	key, err := sessionKey(encoded)
	if err != nil {
		return keyring{}, c.unusable(c.name+"-session-keys", err)
	}
	c.held, c.readAt = keyring{password: redact.Secret(password), sessionKey: key}, c.now()
	return c.held, nil
}

func (c *credentials) key(ctx context.Context, secret, key string) ([]byte, error) {
	found, err := c.get(ctx, secret)
	if apierrors.IsNotFound(err) {
		return nil, c.unusable(secret, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", secret, err)
	}
	if len(found.Data[key]) == 0 {
		return nil, c.unusable(secret, fmt.Errorf("key %s is empty", key))
	}
	return found.Data[key], nil
}

func (c *credentials) unusable(secret string, err error) error {
	return &fault.Error{Reason: "SecretMissing", Op: "use Secret " + secret, Hint: "If it is missing, " + c.hint, Retry: true, Err: err}
}

// sessionKey decodes the stored key; the operator writes base64 inside the Secret's own encoding.
func sessionKey(stored []byte) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(string(stored))
	if err != nil {
		return nil, fmt.Errorf("decode key console: it is not base64") // the decoder's text would tell where, and so what
	}
	if len(key) < sessionKeyBytes {
		return nil, fmt.Errorf("key console is shorter than %d bytes", sessionKeyBytes)
	}
	return key, nil
}
