package blob

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strings"
)

// An upload in parts is a folder with a file for each part, and one that says what it is for.

func uploadFile(id string, number int) string {
	return path.Join(uploadsDir, fold(id), fmt.Sprintf("%05d", number)) + leaf
}

func (f *folder) start(_ context.Context, name string, o PutOptions) (string, error) {
	id := rand.Text()
	_, err := f.store(uploadFile(id, 0), strings.NewReader(name), trailer{Type: contentType(o.ContentType)})
	return id, err
}

// begun returns the type that an upload was begun with.
func (f *folder) begun(name, id string) (kind string, err error) {
	if err := checkID(id); err != nil {
		return "", err
	}
	r, t, err := f.open(uploadFile(id, 0))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.NewSectionReader(r, 0, min(t.Size, maxName)))
	if err := errors.Join(err, r.Close()); err != nil {
		return "", err
	}
	if string(text) != name {
		return "", ErrNotFound
	}
	return t.Type, nil
}

func (f *folder) signPart(_ context.Context, name, id string, number int, o PutOptions) (SignedPut, error) {
	if err := checkID(id); err != nil {
		return SignedPut{}, err
	}
	g := grant{method: http.MethodPut, name: name, expires: f.expires(o.Expiry), upload: id, part: number}
	address, err := f.address(g)
	return SignedPut{URL: address, Headers: putHeaders(PutOptions{MD5: o.MD5})}, err
}

// storePart is the PUT of a part.
func (f *folder) storePart(g grant, r io.Reader) (trailer, error) {
	if _, err := f.begun(g.name, g.upload); err != nil {
		return trailer{}, err
	}
	return f.store(uploadFile(g.upload, g.part), r, trailer{Type: defaultContentType})
}

func (f *folder) complete(_ context.Context, name, id string, parts []Part) error {
	kind, err := f.begun(name, id)
	if err != nil {
		return err
	}
	err = f.replace(fileOf(name), func(into *os.File) error {
		t, err := f.join(into, id, parts)
		t.Type = kind
		return errors.Join(err, t.write(into))
	})
	if err != nil {
		return err
	}
	_ = f.root.RemoveAll(path.Dir(uploadFile(id, 0))) // the object stands; what is left is cleaned away later
	return nil
}

// join appends parts, which the system copies without showing us their bytes.
func (f *folder) join(into *os.File, id string, parts []Part) (trailer, error) {
	whole, sums := trailer{Parts: len(parts)}, md5.New()
	for _, part := range parts {
		t, err := f.appendPart(into, id, part)
		if err != nil {
			return trailer{}, err
		}
		whole.Size += t.Size
		sums.Write(t.MD5)
	}
	whole.Sums = sums.Sum(nil)
	return whole, nil
}

func (f *folder) appendPart(into *os.File, id string, part Part) (trailer, error) {
	r, t, err := f.open(uploadFile(id, part.Number))
	if errors.Is(err, ErrNotFound) {
		return trailer{}, fmt.Errorf("%w: part %d was not uploaded", errMismatch, part.Number)
	}
	if err != nil {
		return trailer{}, err
	}
	defer r.Close()
	if len(part.MD5) > 0 && !bytes.Equal(part.MD5, t.MD5) {
		return trailer{}, fmt.Errorf("%w: part %d has another MD5", errMismatch, part.Number)
	}
	_, err = io.CopyN(into, r, t.Size)
	return t, err
}

func (f *folder) abort(_ context.Context, name, id string) error {
	if _, err := f.begun(name, id); err != nil {
		return err
	}
	return f.root.RemoveAll(path.Dir(uploadFile(id, 0)))
}
