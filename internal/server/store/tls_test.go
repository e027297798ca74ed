package store_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/mysql"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func TestTheCertificateOfMySQLIsChecked(t *testing.T) {
	right := mysql.Start(t).CACertPath
	for sentence, c := range map[string]struct {
		ca string
		ok bool
	}{
		"by the authority that signed it": {right, true},
		"by another authority":            {otherAuthority(t), false},
		"by none":                         {"", true},
	} {
		cfg := storetest.MySQL(t)
		cfg.MySQL.CACertPath = c.ca
		s, err := store.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		err = s.Prepare(t.Context(), false)
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v", sentence, err)
		}
		if err != nil {
			if !strings.Contains(err.Error(), "certificate") {
				t.Errorf("%s: %v does not say that it is the certificate", sentence, err)
			}
			continue
		}
		_, write := s.Pools()
		var name, cipher string
		if err := write.QueryRowContext(t.Context(), "SHOW STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher); err != nil || cipher == "" {
			t.Errorf("%s: the connection is not encrypted (%v)", sentence, err)
		}
	}
}

func TestACACertificateThatIsNoneIsNamed(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(store.Config{MySQL: &store.MySQL{Host: "db", CACertPath: empty}})
	if fault.Reason(err, "") != "MySQLCACertInvalid" || !strings.Contains(fault.Hint(err), "MYSQL_CA_CERT_PATH") {
		t.Errorf("got %v", err)
	}
}

func otherAuthority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "other"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "other.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
