package blob

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// maxObject is the largest upload: as much as any of the stores in the cloud take.
	maxObject = 5 << 40
	// drained is how much is read of a refused upload, so that the client sees the answer and no broken connection.
	drained = 64 << 10
	// deadlineStep is how often the deadlines of a transfer move.
	deadlineStep = 5 * time.Second
)

// ServeHTTP serves signed URLs. The signature says everything: neither cookie nor Authorization is looked at, since a client
// sends the latter to every path of a host that it has a key for.
func (f *folder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "ETag, Accept-Ranges, Content-Length, Content-Range, Last-Modified")
	// What users uploaded must not act as a page of this host.
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Referrer-Policy", "no-referrer")
	switch r.Method {
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, PUT, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "*, Authorization")
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(corsAge/time.Second)))
		w.WriteHeader(http.StatusNoContent)
		return
	case http.MethodGet, http.MethodHead, http.MethodPut:
	default:
		h.Set("Allow", "GET, HEAD, PUT, OPTIONS")
		f.say(w, r, http.StatusMethodNotAllowed, "Objects are read with GET and written with PUT.")
		return
	}
	query := r.URL.Query()
	g, refused := f.refusal(r.Method, strings.TrimPrefix(r.URL.Path, StoragePath), query)
	if refused != "" {
		f.say(w, r, http.StatusForbidden, refused)
		return
	}
	if r.Method == http.MethodPut {
		f.receive(w, r, g)
		return
	}
	f.send(w, r, g)
}

// say answers with a sentence, and takes from the client what it has sent already.
func (f *folder) say(w http.ResponseWriter, r *http.Request, status int, text string) {
	if n, _ := io.CopyN(io.Discard, r.Body, drained); n == drained {
		w.Header().Set("Connection", "close")
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // nobody is left to tell
}

func (f *folder) send(w http.ResponseWriter, r *http.Request, g grant) {
	file, t, err := f.open(fileOf(g.name))
	if err != nil {
		f.fail(w, r, err)
		return
	}
	defer file.Close()
	h := w.Header()
	h.Set("ETag", t.etag())
	h.Set("Content-Type", contentType(t.Type))
	h.Set("Cache-Control", "private, no-cache")
	if g.kind != "" {
		h.Set("Content-Type", g.kind)
	}
	if g.disposition != "" {
		h.Set("Content-Disposition", g.disposition)
	}
	alive := f.pacer(http.NewResponseController(w).SetWriteDeadline)
	http.ServeContent(w, r, "", t.modified, &paced{io.NewSectionReader(file, 0, t.Size), alive})
}

func (f *folder) receive(w http.ResponseWriter, r *http.Request, g grant) {
	want, err := announced(r.Header.Get("Content-MD5"))
	if err != nil {
		f.say(w, r, http.StatusBadRequest, "Content-MD5 is not the base64 of an MD5.")
		return
	}
	if r.ContentLength > maxObject {
		f.say(w, r, http.StatusRequestEntityTooLarge, "An object may have 5 TiB.")
		return
	}
	control := http.NewResponseController(w)
	body := newCounter(http.MaxBytesReader(w, r.Body, maxObject), r.ContentLength, want)
	body.alive = f.pacer(func(t time.Time) error {
		return errors.Join(control.SetReadDeadline(t), control.SetWriteDeadline(t.Add(f.stall))) // the answer comes after the sync
	})
	body.alive()
	var stored trailer
	if g.upload != "" {
		stored, err = f.storePart(g, body)
	} else {
		stored, err = f.store(fileOf(g.name), body, trailer{Type: contentType(r.Header.Get("Content-Type")), Expires: g.expires})
	}
	if errors.Is(err, errOlder) { // a copy that comes late: its sender has gone on
		err = nil
	}
	if err != nil {
		f.fail(w, r, err)
		return
	}
	w.Header().Set("ETag", stored.etag())
	w.WriteHeader(http.StatusOK)
}

// announced decodes Content-MD5; nil where there is none.
func announced(header string) ([]byte, error) {
	if header == "" {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(header)
	if err != nil || len(sum) != md5.Size {
		return nil, errors.New("no MD5")
	}
	return bytes.Clone(sum), nil
}

func (f *folder) fail(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, ErrNotFound):
		f.say(w, r, http.StatusNotFound, "There is no such object.")
	case errors.Is(err, errMismatch):
		f.say(w, r, http.StatusBadRequest, "The body is not what was announced: "+err.Error()+".")
	case errors.As(err, &tooLarge):
		f.say(w, r, http.StatusRequestEntityTooLarge, "An object may have 5 TiB.")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		f.logger.ErrorContext(r.Context(), "no room for an object", "error", err)
		f.say(w, r, http.StatusInsufficientStorage, "The server has no room left.")
	case errors.Is(err, io.ErrUnexpectedEOF), r.Context().Err() != nil:
		f.say(w, r, http.StatusRequestTimeout, "The body ended before its time.") // most likely nobody listens
	default:
		f.logger.ErrorContext(r.Context(), "object not served", "error", err)
		f.say(w, r, http.StatusInternalServerError, "The server could not read or write the object.")
	}
}

// pacer returns what moves a deadline as long as bytes move.
func (f *folder) pacer(set func(time.Time) error) func() {
	var last time.Time
	return func() {
		if now := time.Now(); now.Sub(last) > min(deadlineStep, f.stall/2) {
			last = now
			_ = set(now.Add(f.stall)) // a connection without deadlines has none to move
		}
	}
}

type paced struct {
	*io.SectionReader
	alive func()
}

func (p *paced) Read(b []byte) (int, error) {
	p.alive()
	return p.SectionReader.Read(b)
}
