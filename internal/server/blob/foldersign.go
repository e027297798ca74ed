package blob

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"time"
)

const (
	// StoragePath is where the server serves the signed URLs of a folder.
	StoragePath = "/storage/"
	keyFile     = "signing.key"
	keyLen      = 32
)

// signingKey is made once for a folder, however many processes open it at the same time.
func (f *folder) signingKey() ([]byte, error) {
	key, err := f.root.ReadFile(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.makeKey(); err != nil {
			return nil, err
		}
		key, err = f.root.ReadFile(keyFile)
	}
	if err != nil {
		return nil, err
	}
	if len(key) != keyLen {
		return nil, fmt.Errorf("%s has %d bytes and must have %d: remove it, which ends the life of all signed URLs", keyFile, len(key), keyLen)
	}
	return key, nil
}

// makeKey links a complete file: of several processes one succeeds, and nobody sees half a key.
func (f *folder) makeKey() error {
	key := make([]byte, keyLen)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	temp := path.Join(tempDir, rand.Text())
	w, err := f.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	_, err = w.Write(key)
	if err := errors.Join(err, w.Sync(), w.Close()); err != nil {
		return err
	}
	err = f.root.Link(temp, keyFile)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = f.root.Rename(temp, keyFile) // a file system without links, which serves one process
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, ignoreMissing(f.root.Remove(temp)), f.syncDir("."))
}

// Parameters of a signed URL, named as in the stores of the cloud.
const (
	kindParameter        = "response-content-type"
	dispositionParameter = "response-content-disposition"
)

// grant is what a signature allows.
type grant struct {
	method  string
	name    string
	expires int64
	// upload and part are set for one part of an upload.
	upload string
	part   int
	// kind and disposition are what the answer says of the object, where the URL decides that.
	kind, disposition string
}

func (f *folder) mac(g grant) []byte {
	h := hmac.New(sha256.New, f.secret)
	if g.kind != "" || g.disposition != "" { // begins with a quote, as no method does
		_, _ = fmt.Fprintf(h, "%q\n%q\n", g.kind, g.disposition)
	}
	// No field but the last can hold a line feed: a text has one reading.
	_, _ = fmt.Fprintf(h, "%s\n%d\n%s\n%d\n%s", g.method, g.expires, g.upload, g.part, g.name)
	return h.Sum(nil)
}

func (f *folder) address(g grant) (string, error) {
	if f.base == "" {
		return "", invalid("HOST", "Set HOST to the URL by which browsers and clients reach this server.", errors.New("it is not set"))
	}
	query := url.Values{"expires": {strconv.FormatInt(g.expires, 10)}, "signature": {hex.EncodeToString(f.mac(g))}}
	if g.upload != "" {
		query.Set("upload", g.upload)
		query.Set("part", strconv.Itoa(g.part))
	}
	if g.kind != "" {
		query.Set(kindParameter, g.kind)
	}
	if g.disposition != "" {
		query.Set(dispositionParameter, g.disposition)
	}
	return f.base + StoragePath + g.name + "?" + query.Encode(), nil
}

// grantOf reads what a request asks for; HEAD is a way to GET.
func grantOf(method, name string, query url.Values) (g grant, signature []byte, ok bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	g = grant{
		method: method, name: name, upload: query.Get("upload"), kind: query.Get(kindParameter), disposition: query.Get(dispositionParameter),
	}
	var err error
	if g.expires, err = strconv.ParseInt(query.Get("expires"), 10, 64); err != nil {
		return grant{}, nil, false
	}
	if g.upload != "" {
		if g.part, err = strconv.Atoi(query.Get("part")); err != nil {
			return grant{}, nil, false
		}
	}
	signature, err = hex.DecodeString(query.Get("signature"))
	return g, signature, err == nil
}

// refusal is why a request may not do what it asks for; "" where it may.
func (f *folder) refusal(method, name string, query url.Values) (grant, string) {
	g, signature, ok := grantOf(method, name, query)
	switch {
	case !ok:
		return grant{}, "This URL has no signature. Signed URLs come from the server's API."
	case !hmac.Equal(signature, f.mac(g)), !validName(name):
		return grant{}, "The signature of this URL is for another object or method, or from another server."
	case f.now().UnixMicro() >= g.expires:
		return grant{}, "This URL expired at " + time.UnixMicro(g.expires).UTC().Format(time.RFC3339) + ". Ask the server for a new one."
	}
	return g, ""
}

// expires is in microseconds: URLs for one name may follow each other within a second, and the newer counts.
func (f *folder) expires(after time.Duration) int64 { return f.now().Add(after).UnixMicro() }

func (f *folder) signGet(_ context.Context, name string, o GetOptions) (string, error) {
	return f.address(grant{method: http.MethodGet, name: name, expires: f.expires(o.Expiry), kind: o.ContentType, disposition: o.Disposition})
}

func (f *folder) signPut(_ context.Context, name string, o PutOptions) (SignedPut, error) {
	address, err := f.address(grant{method: http.MethodPut, name: name, expires: f.expires(o.Expiry)})
	return SignedPut{URL: address, Headers: putHeaders(o)}, err
}

func decimal(n int) string { return strconv.Itoa(n) }
