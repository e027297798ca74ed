package pki

import (
	"bytes"
	"crypto/x509"
	"path/filepath"
	"testing"
)

type store struct{ dir string }

func (s store) authority(t *testing.T) *Authority {
	t.Helper()
	a, err := OpenAuthority(filepath.Join(s.dir, "ca.crt"), filepath.Join(s.dir, "ca.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (s store) ensure(t *testing.T, a *Authority, leaf Leaf) Pair {
	t.Helper()
	pair, err := a.Ensure(leaf, filepath.Join(s.dir, "x.crt"), filepath.Join(s.dir, "x.key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestAuthorityIsKept(t *testing.T) {
	s := store{t.TempDir()}
	if first, second := s.authority(t), s.authority(t); !bytes.Equal(first.PEM, second.PEM) {
		t.Error("opening the authority again made another one: browsers would stop to trust it")
	}
}

func TestIngressLeafCoversItsNames(t *testing.T) {
	s := store{t.TempDir()}
	a := s.authority(t)
	pair := s.ensure(t, a, Leaf{CommonName: "wandb.demo.test", Names: []string{"wandb.demo.test", "*.demo.test", "127.77.0.1"}})
	cert, err := parseCertificate(pair.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if cert.IsCA {
		t.Error("the leaf is an authority; clients refuse such a server certificate")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.PEM)
	for _, name := range []string{"wandb.demo.test", "any.demo.test", "127.77.0.1"} {
		if _, err := cert.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("verify %s: %v", name, err)
		}
	}
	if _, err := cert.Verify(x509.VerifyOptions{DNSName: "wandb.other.test", Roots: roots}); err == nil {
		t.Error("the leaf covers another cluster's name")
	}
	const browsersAccept = 398
	if days := cert.NotAfter.Sub(cert.NotBefore).Hours() / 24; days > browsersAccept {
		t.Errorf("the leaf lives %.0f days, browsers accept %d", days, browsersAccept)
	}
}

func TestLeafIsSignedAnewWhenItMust(t *testing.T) {
	base := Leaf{CommonName: "x", Organizations: []string{"o"}, Names: []string{"a.test", "10.0.0.1"}}
	for name, test := range map[string]struct {
		leaf  Leaf
		other bool
		same  bool
	}{
		"nothing changed":      {leaf: base, same: true},
		"another user":         {leaf: Leaf{CommonName: "y", Organizations: base.Organizations, Names: base.Names}},
		"another group":        {leaf: Leaf{CommonName: "x", Organizations: []string{"p"}, Names: base.Names}},
		"one name more":        {leaf: Leaf{CommonName: "x", Organizations: base.Organizations, Names: append([]string{"b.test"}, base.Names...)}},
		"another authority":    {leaf: base, other: true},
		"an address was moved": {leaf: Leaf{CommonName: "x", Organizations: base.Organizations, Names: []string{"a.test", "10.0.0.2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := store{t.TempDir()}
			a := s.authority(t)
			first := s.ensure(t, a, base)
			if test.other {
				a = store{t.TempDir()}.authority(t)
			}
			second := s.ensure(t, a, test.leaf)
			if same := bytes.Equal(first.Certificate, second.Certificate); same != test.same {
				t.Errorf("the certificate stayed: %v, want %v", same, test.same)
			}
		})
	}
}

func TestServiceAccountKeyIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sa.key")
	first, err := EnsureKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := EnsureKey(file); err != nil || !bytes.Equal(first, second) {
		t.Errorf("the key changed (%v): every token of the cluster would be void", err)
	}
}
