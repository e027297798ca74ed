package store

import (
	"database/sql/driver"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Blob is a MEDIUMBLOB column that is never NULL.
type Blob []byte

// Value returns the bytes, at least none.
func (b Blob) Value() (driver.Value, error) {
	if b == nil {
		return []byte{}, nil
	}
	return []byte(b), nil
}

// Scan copies bytes, which the driver uses again.
func (b *Blob) Scan(src any) error {
	switch v := src.(type) {
	case []byte:
		*b = slices.Clone(v)
	case string:
		*b = Blob(v)
	default:
		return fmt.Errorf("read a blob column: unexpected %T", src)
	}
	return nil
}

// maxPacked bounds what one packed text may unfold to.
const maxPacked = 64 << 20

// Packed is a text that its column holds compressed.
type Packed []byte

// Both are safe for use by many goroutines at once, and cost megabytes each.
var (
	packer, _   = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(128<<10))
	unpacker, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxPacked))
)

// Pack compresses a text ahead of its writing: what a Packed column holds.
func Pack(text []byte) []byte { return packer.EncodeAll(text, make([]byte, 0, len(text)/4+64)) }

// Value compresses the text.
func (p Packed) Value() (driver.Value, error) { return Pack(p), nil }

// Scan unfolds the text.
func (p *Packed) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok {
		return fmt.Errorf("read a packed column: unexpected %T", src)
	}
	text, err := unpacker.DecodeAll(b, nil)
	if err != nil {
		return fmt.Errorf("read a packed column: %w", err)
	}
	*p = text
	return nil
}
