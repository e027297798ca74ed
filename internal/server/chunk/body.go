package chunk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// MaxRaw is how many bytes of lines go into one chunk, unless a single line is longer.
	MaxRaw = 1 << 20
	// MaxLine bounds a line: compressed or not, it fits into the 16 MiB of a stored body. The client's bound is 10 MiB.
	MaxLine = 15 << 20
	// maxDecoded bounds what a body may decode to.
	maxDecoded = MaxLine + MaxRaw
)

// ErrCorrupt tells that stored bytes are not what this package has written.
var ErrCorrupt = errors.New("the chunk is corrupt")

// The first byte of a body. Lines almost never hold a line feed; joined by it they compress best.
const (
	bodyJoined = 1 // zstd of the lines, each followed by a line feed
	bodySized  = 2 // zstd of the number of lines, their lengths, and the lines
	bodyTable  = 3 // zstd of columns
)

// HashSize is the length of a Hash.
const HashSize = 16

// Hash identifies lines: two sequences of lines have the same one only where they are equal.
func Hash(lines [][]byte) [HashSize]byte {
	h := sha256.New()
	var size [8]byte
	for _, line := range lines {
		binary.LittleEndian.PutUint64(size[:], uint64(len(line)))
		_, _ = h.Write(size[:]) // never fails
		_, _ = h.Write(line)
	}
	var sum [sha256.Size]byte
	return [HashSize]byte(h.Sum(sum[:0]))
}

// Encode compresses lines into a body.
func Encode(lines [][]byte) []byte {
	buffer := scratch.Get().(*[]byte)
	raw := (*buffer)[:0]
	version, raw := appendLines(raw, lines)
	body := pack(version, raw)
	if cap(raw) <= keepScratch {
		*buffer = raw
		scratch.Put(buffer)
	}
	return body
}

// appendLines writes lines in the form that suits them.
func appendLines(raw []byte, lines [][]byte) (version byte, out []byte) {
	version = bodyJoined
	if holdsLineFeed(lines) {
		version = bodySized
		raw = binary.AppendUvarint(raw, uint64(len(lines)))
		for _, line := range lines {
			raw = binary.AppendUvarint(raw, uint64(len(line)))
		}
	} else if raw, ok := appendColumns(raw, lines); ok {
		return bodyTable, raw
	}
	for _, line := range lines {
		raw = append(raw, line...)
		if version == bodyJoined {
			raw = append(raw, '\n')
		}
	}
	return version, raw
}

func holdsLineFeed(lines [][]byte) bool {
	for _, line := range lines {
		if bytes.IndexByte(line, '\n') >= 0 {
			return true
		}
	}
	return false
}

// Decode returns the lines of a body. They share one piece of memory.
func Decode(body []byte) ([][]byte, error) { return Select(body, nil) }

// Select is Decode for who needs few members of each line: those at the top whose names, as they are written, keep does not
// want may be missing from the lines.
func Select(body []byte, keep func(name []byte) bool) ([][]byte, error) {
	if len(body) == 0 {
		return nil, ErrCorrupt
	}
	raw, err := unpack(body[1:])
	if err != nil {
		return nil, err
	}
	switch body[0] {
	case bodyJoined:
		return split(raw)
	case bodySized:
		return cut(raw)
	case bodyTable:
		return joinColumns(raw, keep)
	}
	return nil, fmt.Errorf("%w: body of version %d", ErrCorrupt, body[0])
}

// split reads lines that end with a line feed each.
func split(raw []byte) ([][]byte, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if raw[len(raw)-1] != '\n' {
		return nil, ErrCorrupt
	}
	lines := make([][]byte, 0, bytes.Count(raw, []byte{'\n'}))
	for len(raw) > 0 {
		at := bytes.IndexByte(raw, '\n')
		lines = append(lines, raw[:at:at])
		raw = raw[at+1:]
	}
	return lines, nil
}

// cut reads lines whose lengths stand before them.
func cut(raw []byte) ([][]byte, error) {
	count, n := binary.Uvarint(raw)
	if n <= 0 || count > uint64(len(raw)) { // every line has a length of at least one byte
		return nil, ErrCorrupt
	}
	sizes, lines := raw[n:], make([][]byte, 0, count)
	rest := sizes
	for range count {
		_, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil, ErrCorrupt
		}
		rest = rest[n:]
	}
	for range count {
		size, n := binary.Uvarint(sizes)
		if size > uint64(len(rest)) {
			return nil, ErrCorrupt
		}
		lines = append(lines, rest[:size:size])
		sizes, rest = sizes[n:], rest[size:]
	}
	if len(rest) > 0 {
		return nil, ErrCorrupt
	}
	return lines, nil
}

// pack appends the compressed bytes to a version.
func pack(version byte, raw []byte) []byte {
	const overhead = 64
	out := make([]byte, 1, len(raw)/3+overhead)
	out[0] = version
	return compressor().EncodeAll(raw, out)
}

func unpack(b []byte) ([]byte, error) {
	raw, err := decompressor().DecodeAll(b, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return raw, nil
}

// level is the fastest one: on lines of metrics the others take up to three times as long and save nothing (BenchmarkEncode).
const level = zstd.SpeedFastest

// Made at their first use; calls at once share a few states. The constructors fail for wrong options alone.
var (
	compressor = sync.OnceValue(func() *zstd.Encoder {
		encoder, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithWindowSize(MaxRaw),
			zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
		return encoder
	})
	decompressor = sync.OnceValue(func() *zstd.Decoder {
		decoder, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxDecoded),
			zstd.WithDecoderLowmem(true))
		return decoder
	})
	scratch = sync.Pool{New: func() any { return new([]byte) }}
)

// keepScratch bounds the memory that is kept for the next call: a line of 100,000 metrics takes 3 MB.
const keepScratch = 4 * MaxRaw
