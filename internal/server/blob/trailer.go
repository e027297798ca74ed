package blob

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"
)

const (
	// mark ends every file of an object: what is known of it, the length of that in four bytes, and these bytes.
	mark       = "kwobj\x00\x00\x01"
	maxTrailer = 16 << 10
)

var errDamaged = errors.New("the file is no object, or is damaged")

// trailer is what is known of an object beside its bytes.
type trailer struct {
	Size int64  `json:"size"`
	Type string `json:"type"`
	// MD5 is nil for an object made of Parts parts; Parts is the MD5 of their MD5s then, and the ETag says so.
	MD5   []byte `json:"md5,omitempty"`
	Sums  []byte `json:"sums,omitempty"`
	Parts int    `json:"parts,omitempty"`
	// Expires is that of the URL by which the object came; 0 where it came without one. Of two uploads to one name the one
	// with the newer URL counts, whichever arrives last.
	Expires int64 `json:"expires,omitempty"`

	modified time.Time
}

func (t trailer) write(w io.Writer) error {
	if len(t.Type) > maxTrailer/2 {
		t.Type = defaultContentType
	}
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	text = binary.BigEndian.AppendUint32(text, uint32(len(text)))
	_, err = w.Write(append(text, mark...))
	return err
}

func readTrailer(f *os.File) (trailer, error) {
	info, err := f.Stat()
	if err != nil {
		return trailer{}, err
	}
	if !info.Mode().IsRegular() {
		return trailer{}, errDamaged
	}
	t, err := parseTrailer(f, info.Size())
	t.modified = info.ModTime()
	return t, err
}

// parseTrailer reads the end of a file of so many bytes.
func parseTrailer(r io.ReaderAt, size int64) (trailer, error) {
	end := make([]byte, min(size, 512))
	if _, err := r.ReadAt(end, size-int64(len(end))); err != nil && !errors.Is(err, io.EOF) {
		return trailer{}, err
	}
	const fixed = len(mark) + 4
	if len(end) < fixed || string(end[len(end)-len(mark):]) != mark {
		return trailer{}, errDamaged
	}
	length := int(binary.BigEndian.Uint32(end[len(end)-fixed:]))
	if length > maxTrailer || int64(length+fixed) > size {
		return trailer{}, errDamaged
	}
	if length+fixed > len(end) {
		end = make([]byte, length+fixed)
		if _, err := r.ReadAt(end, size-int64(len(end))); err != nil && !errors.Is(err, io.EOF) {
			return trailer{}, err
		}
	}
	var t trailer
	if err := json.Unmarshal(end[len(end)-fixed-length:len(end)-fixed], &t); err != nil || t.Size != size-int64(length+fixed) {
		return trailer{}, errDamaged
	}
	return t, nil
}

func (t trailer) etag() string {
	if t.Parts > 0 {
		return `"` + hex.EncodeToString(t.Sums) + "-" + decimal(t.Parts) + `"`
	}
	return `"` + hex.EncodeToString(t.MD5) + `"`
}

func (t trailer) object() Object {
	o := Object{Size: t.Size, ETag: t.etag(), ContentType: t.Type, Modified: t.modified}
	if len(t.MD5) == md5.Size {
		o.MD5 = t.MD5
	}
	return o
}
