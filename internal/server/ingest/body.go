package ingest

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

const (
	// maxBody bounds a body, also after it was unfolded. The client sends at most 10 MiB.
	maxBody = 32 << 20
	// minBuffer is the least memory that a body is read into.
	minBuffer = 16 << 10
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

// bufferSize is how much memory a body needs, as far as that is known. One byte more tells that the body has ended.
func bufferSize(r *http.Request) int64 {
	if r.ContentLength < 0 {
		return minBuffer
	}
	return min(r.ContentLength, maxBody) + 1
}

// readBody reads the body into a buffer, which may grow.
func readBody(w http.ResponseWriter, r *http.Request, buffer []byte) ([]byte, error) {
	source := http.MaxBytesReader(w, r.Body, maxBody)
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return readAll(source, buffer)
	case "gzip", "x-gzip":
		reader := unzip.Get().(*gzip.Reader)
		defer unzip.Put(reader)
		if err := reader.Reset(source); err != nil {
			return buffer, readFailure(err)
		}
		return readAll(reader, buffer)
	default:
		return buffer, errEncoding
	}
}

// readAll reads at most maxBody bytes.
func readAll(source io.Reader, buffer []byte) ([]byte, error) {
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

// buffers keep the memory of bodies for later ones of about their size. What is large is worth most: the collector would see
// its garbage only after as much again was allocated.
type buffers struct{ classes [12 * classSteps]sync.Pool }

// classSteps is how many classes there are of sizes that are less than twice as long as others: a sixteenth of the memory is
// unused at most, and a body that is a little longer than the last one still fits into its place.
const classSteps = 16

// class returns the least class for a size, and the size of its memory: minBuffer, or some sixteenths of a power of two.
func class(size int64) (class int, memory int64) {
	if size <= minBuffer {
		return 0, minBuffer
	}
	doublings := bits.Len64(uint64(size-1)/minBuffer) - 1
	step := int64(minBuffer/classSteps) << doublings
	steps := (size + step - 1) / step // from 17 to 32
	return doublings*classSteps + int(steps) - classSteps, steps * step
}

// get returns memory for size bytes; more may be appended.
func (b *buffers) get(size int64) *[]byte {
	at, memory := class(size)
	if kept, ok := b.classes[at].Get().(*[]byte); ok && int64(cap(*kept)) >= size {
		return kept
	}
	fresh := make([]byte, 0, memory)
	return &fresh
}

// put takes memory back, perhaps grown.
func (b *buffers) put(holder *[]byte, buffer []byte) {
	*holder = buffer[:0]
	if at, _ := class(int64(cap(buffer))); at < len(b.classes) {
		b.classes[at].Put(holder)
	}
}
