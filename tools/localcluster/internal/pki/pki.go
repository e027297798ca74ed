// Package pki is the cluster's certificate authority and what it signs.
//
// All keys are ECDSA P-256. A leaf is signed anew when it is missing, close to
// its end, from another authority, or lacks a name that it should have.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	// leafLife stays below the 398 days that browsers accept.
	leafLife = 397 * 24 * time.Hour
	// renewBefore is the remaining life below which up signs a leaf anew.
	renewBefore = 30 * 24 * time.Hour
	// backdate forgives clocks that differ, as a virtual machine's may.
	backdate = time.Hour
)

// Pair is a certificate with its private key, both in PEM.
type Pair struct {
	Certificate []byte
	Key         []byte
}

// Authority signs leaves.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// PEM is the authority's certificate.
	PEM []byte
}

// OpenAuthority loads the authority from the two files, or makes one and writes
// them when they are missing or past their life.
func OpenAuthority(certFile, keyFile, commonName string) (*Authority, error) {
	pair, err := readPair(certFile, keyFile)
	if err == nil {
		authority, parseErr := parseAuthority(pair)
		if parseErr == nil && time.Until(authority.certificate.NotAfter) > renewBefore {
			return authority, nil
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate authority key: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName, Organization: []string{"kubewandb localcluster"}},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	made, err := sign(template, template, key, key, authorityLife)
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	if err := writePair(made, certFile, keyFile); err != nil {
		return nil, err
	}
	return parseAuthority(made)
}

// Leaf says what a signed certificate is for.
type Leaf struct {
	// CommonName and Organizations are the Kubernetes user and groups of a
	// client certificate.
	CommonName    string
	Organizations []string
	// Names are the host names and addresses that a server certificate covers;
	// without any it is for clients only.
	Names []string
}

// Ensure returns the leaf in the two files, signing it when the package
// comment asks for it.
func (a *Authority) Ensure(leaf Leaf, certFile, keyFile string) (Pair, error) {
	pair, err := readPair(certFile, keyFile)
	if err == nil && a.serves(pair, leaf) {
		return pair, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Pair{}, err
	}
	pair, err = a.Sign(leaf)
	if err != nil {
		return Pair{}, err
	}
	return pair, writePair(pair, certFile, keyFile)
}

// Sign makes a new key and a certificate for it.
func (a *Authority) Sign(leaf Leaf) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("generate key: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: leaf.CommonName, Organization: leaf.Organizations},
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	template.DNSNames, template.IPAddresses = split(leaf.Names)
	if len(leaf.Names) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	pair, err := sign(template, a.certificate, key, a.key, leafLife)
	if err != nil {
		return Pair{}, fmt.Errorf("sign certificate of %s: %w", leaf.CommonName, err)
	}
	return pair, nil
}

func (a *Authority) serves(pair Pair, leaf Leaf) bool {
	cert, err := parseCertificate(pair.Certificate)
	if err != nil || cert.CheckSignatureFrom(a.certificate) != nil || time.Until(cert.NotAfter) < renewBefore {
		return false
	}
	names, addresses := split(leaf.Names)
	sameAddress := func(x, y net.IP) bool { return x.Equal(y) }
	return cert.Subject.CommonName == leaf.CommonName &&
		slices.Equal(cert.Subject.Organization, leaf.Organizations) &&
		slices.Equal(cert.DNSNames, names) &&
		slices.EqualFunc(cert.IPAddresses, addresses, sameAddress)
}

// EnsureKey returns a private key in the file, made when missing: the service
// accounts' signing key.
func EnsureKey(file string) ([]byte, error) {
	content, err := os.ReadFile(file)
	if err == nil {
		return content, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return encoded, write(file, encoded, 0o600)
}

func split(names []string) (hosts []string, addresses []net.IP) {
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			addresses = append(addresses, address)
			continue
		}
		hosts = append(hosts, name)
	}
	return hosts, addresses
}

func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey, life time.Duration) (Pair, error) {
	const serialBits = 120
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return Pair{}, fmt.Errorf("choose serial number: %w", err)
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-backdate)
	template.NotAfter = time.Now().Add(life)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return Pair{}, fmt.Errorf("create certificate: %w", err)
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: encoded}, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func parseAuthority(pair Pair) (*Authority, error) {
	cert, err := parseCertificate(pair.Certificate)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(pair.Key)
	if block == nil {
		return nil, errors.New("parse authority key: no PEM block")
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse authority key: %w", err)
	}
	return &Authority{certificate: cert, key: key, PEM: pair.Certificate}, nil
}

func parseCertificate(content []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("parse certificate: no PEM block")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	return cert, nil
}

func readPair(certFile, keyFile string) (Pair, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return Pair{}, fmt.Errorf("read certificate: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return Pair{}, fmt.Errorf("read key: %w", err)
	}
	return Pair{Certificate: cert, Key: key}, nil
}

func writePair(pair Pair, certFile, keyFile string) error {
	if err := write(keyFile, pair.Key, 0o600); err != nil {
		return err
	}
	return write(certFile, pair.Certificate, 0o644)
}

func write(file string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("create folder of %s: %w", file, err)
	}
	if err := os.WriteFile(file, content, mode); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
