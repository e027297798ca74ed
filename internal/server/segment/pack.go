package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// ErrCorrupt tells that stored bytes are not what this package has written.
var ErrCorrupt = errors.New("the segment is corrupt")

// maxSection bounds what a compressed stretch may unfold to: the lines of a block, each at most 15 MiB.
const maxSection = 256 << 20

var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		// The options are valid, and nothing else can fail.
		e, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false),
			zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxSection), zstd.WithDecoderLowmem(true))
		return d
	})
)

// The first byte of a section says how it is stored.
const (
	sectionPlain = iota
	sectionZstd
	sectionSame // all bytes are the one that follows
)

// leastPacked is the length from which compression is tried.
const leastPacked = 24

// appendSection writes bytes whose number the reader learns with them.
func appendSection(dst, raw []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(raw)))
	if len(raw) > 1 && same(raw) {
		return append(dst, sectionSame, raw[0])
	}
	if len(raw) >= leastPacked {
		packed := encoder().EncodeAll(raw, make([]byte, 0, likelyPacked(len(raw))))
		if len(packed) < len(raw)-len(raw)/32 {
			dst = append(dst, sectionZstd)
			dst = binary.AppendUvarint(dst, uint64(len(packed)))
			return append(dst, packed...)
		}
	}
	return append(append(dst, sectionPlain), raw...)
}

// likelyPacked is how much memory the compressed form of so many bytes is given. Most of what is large is lines.
func likelyPacked(n int) int {
	const large, ratio = 1 << 20, 3
	if n < large {
		return n
	}
	return n / ratio
}

func same(raw []byte) bool {
	for _, c := range raw {
		if c != raw[0] {
			return false
		}
	}
	return true
}

// reader reads what was appended; once something is wrong, everything that follows is empty.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() {
	r.bad, r.rest = true, nil
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count reads a number of at most limit.
func (r *reader) count(limit int) int {
	v := r.uvarint()
	if v > uint64(limit) { // limits are positive
		r.fail()
		return 0
	}
	return int(v) // at most limit
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// section reads what appendSection wrote.
func (r *reader) section() []byte {
	size := r.count(maxSection)
	switch r.byte() {
	case sectionPlain:
		return r.bytes(size)
	case sectionSame:
		c := r.byte()
		if r.bad {
			return nil
		}
		raw := make([]byte, size)
		for i := range raw {
			raw[i] = c
		}
		return raw
	case sectionZstd:
		packed := r.bytes(r.count(maxSection))
		if r.bad {
			return nil
		}
		raw, err := decoder().DecodeAll(packed, make([]byte, 0, min(size, 16*len(packed)+1024)))
		if err != nil || len(raw) != size {
			r.fail()
			return nil
		}
		return raw
	default:
		r.fail()
		return nil
	}
}

func (r *reader) err(what string) error {
	if r.bad || len(r.rest) > 0 {
		return fmt.Errorf("%w: %s", ErrCorrupt, what)
	}
	return nil
}
