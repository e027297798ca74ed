package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

const (
	// maxBody bounds a body, also after it was unfolded. The client sends at most 10 MiB.
	maxBody = 32 << 20
	// minBuffer is the least memory that a body is read into.
	minBuffer = 4 << 10
	// keepBuffer bounds the memory that is kept for the next request.
	keepBuffer = 4 << 20
)

var (
	errTooLarge = fmt.Errorf("the body is larger than %d MiB", maxBody>>20)
	errEncoding = errors.New("the body comes in an encoding that is not known")
)

var (
	bodies   = sync.Pool{New: func() any { return new([]byte) }}
	unzip    = sync.Pool{New: func() any { return new(gzip.Reader) }}
	messages = sync.Pool{New: func() any { return new(message) }}
)

// sizeToTake is how much memory a request needs at most until its body is read.
func sizeToTake(r *http.Request) int64 {
	if r.ContentLength < 0 || r.Header.Get("Content-Encoding") != "" {
		return maxBody
	}
	return r.ContentLength
}

// readBody reads the body into memory that goes back with putBody.
func readBody(w http.ResponseWriter, r *http.Request, buffer []byte) ([]byte, error) {
	source := http.MaxBytesReader(w, r.Body, maxBody)
	expect := r.ContentLength
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return readAll(source, buffer, expect)
	case "gzip", "x-gzip":
		reader := unzip.Get().(*gzip.Reader)
		defer unzip.Put(reader)
		if err := reader.Reset(source); err != nil {
			return buffer, readFailure(err)
		}
		return readAll(reader, buffer, -1)
	default:
		return buffer, errEncoding
	}
}

// readAll reads at most maxBody bytes. expect is how many are known to come; negative for unknown.
func readAll(source io.Reader, buffer []byte, expect int64) ([]byte, error) {
	if need := min(max(expect, minBuffer), maxBody) + 1; int64(cap(buffer)) < need {
		buffer = make([]byte, 0, need)
	}
	body := buffer[:0]
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := source.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if len(body) > maxBody {
			return body, errTooLarge
		}
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return body, readFailure(err)
		}
	}
}

// errBroken wraps failures of the connection or of the encoding.
var errBroken = errors.New("the body could not be read")

func readFailure(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errTooLarge
	}
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return errEncoding
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}

func putBody(holder *[]byte, body []byte) {
	if cap(body) <= keepBuffer {
		*holder = body[:0]
		bodies.Put(holder)
	}
}
