package deploy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/redact"
)

const (
	keyFolder    = "keys"
	firstKey     = "0001.pem"
	maxKeyBytes  = 64 << 10
	privatePerms = 0o600
)

// licenseKeys are the keys of licences: one signs, all verify. A key is rotated by putting a further file beside the
// others: the last one in the order of their names signs.
type licenseKeys struct {
	signing license.SigningKey
	set     *license.KeySet
	jwks    []byte
}

func loadLicenseKeys(config Config) (*licenseKeys, error) {
	paths := []string{config.LicenseKeyFile}
	if config.LicenseKeyFile == "" {
		var err error
		if paths, err = ownKeys(filepath.Join(config.DataDir, keyFolder)); err != nil {
			return nil, err
		}
	}
	loaded := make([]license.SigningKey, 0, len(paths))
	for _, path := range paths {
		text, err := readSecret(path)
		if err != nil {
			return nil, fmt.Errorf("load licence key: %w", err)
		}
		key, err := license.ParseSigningKey(text)
		if err != nil {
			return nil, &fault.Error{Reason: "LicenseKeyInvalid", Op: "load licence key " + path, Err: err, Hint: "Make one with: openssl genpkey -algorithm ed25519."}
		}
		loaded = append(loaded, key)
	}
	keys := &licenseKeys{signing: loaded[len(loaded)-1], set: license.NewKeySet(loaded...)}
	var err error
	keys.jwks, err = keys.set.JWKS()
	return keys, err
}

// ownKeys lists the key files of dir in order, after making the first one where there is none.
func ownKeys(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err != nil {
		return nil, fmt.Errorf("list licence keys: %w", err)
	}
	if len(paths) > 0 {
		slices.Sort(paths)
		return paths, nil
	}
	key, err := license.GenerateKey()
	if err != nil {
		return nil, err
	}
	text, err := key.PEM()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, firstKey)
	if err := writeSecret(path, text); err != nil {
		return nil, fmt.Errorf("store licence key: %w", err)
	}
	return []string{path}, nil
}

// readSecret reads a small file that holds one credential.
func readSecret(path string) (redact.Secret, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > maxKeyBytes {
		return "", fmt.Errorf("%s has %d bytes, at most %d are read", path, info.Size(), maxKeyBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return redact.Secret(strings.TrimSpace(string(text))), nil
}

// writeSecret stores a credential for its owner only. The file appears complete or not at all, also after a power cut.
func writeSecret(path string, text redact.Secret) error {
	return writeFile(path, []byte(text.Reveal()+"\n"))
}

func writeFile(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, privatePerms)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
