package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/kubewandb/kubewandb/internal/server/segment"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// upload writes the object of a segment.
func (s *Service) upload(ctx context.Context, g store.Segment, pieces []segment.Piece, footer []byte, sources []store.Object) error {
	body := &assembly{ctx: ctx, service: s, pieces: append(slices.Clone(pieces), segment.Piece{Bytes: footer, Length: int64(len(footer))}), sources: sources}
	err := s.bucket.Put(ctx, objectKey(g.Object()), body, g.Size)
	if err = errors.Join(err, body.Close()); err != nil {
		return fmt.Errorf("write a segment: %w", err)
	}
	return nil
}

// assembly reads the pieces of a new object one after the other. Each source is read once, from its start to its end.
type assembly struct {
	ctx     context.Context // it lives as long as one upload
	service *Service
	pieces  []segment.Piece
	sources []store.Object
	open    map[int]*openSource
}

type openSource struct {
	io.ReadCloser
	at int64
}

// Read reads on.
func (a *assembly) Read(p []byte) (int, error) {
	for len(a.pieces) > 0 && a.pieces[0].Length == 0 {
		a.pieces = a.pieces[1:]
	}
	if len(a.pieces) == 0 {
		return 0, io.EOF
	}
	piece := &a.pieces[0]
	p = p[:min(int64(len(p)), piece.Length)]
	n := 0
	if piece.Bytes != nil {
		n = copy(p, piece.Bytes)
		piece.Bytes = piece.Bytes[n:]
	} else {
		source, err := a.source(piece.Source, piece.Offset)
		if err != nil {
			return 0, err
		}
		if n, err = io.ReadFull(source, p); err != nil {
			return n, bucketFailed(err)
		}
		source.at += int64(n)
	}
	piece.Offset += int64(n)
	piece.Length -= int64(n)
	return n, nil
}

// source returns a source at an offset.
func (a *assembly) source(number int, offset int64) (*openSource, error) {
	if s, ok := a.open[number]; ok && offset >= s.at {
		_, err := io.CopyN(io.Discard, s, offset-s.at)
		s.at = offset
		return s, err
	}
	if a.open == nil {
		a.open = map[int]*openSource{}
	}
	body, err := a.service.bucket.Get(a.ctx, objectKey(a.sources[number]), offset, -1)
	if err != nil {
		return nil, bucketFailed(err)
	}
	a.open[number] = &openSource{ReadCloser: body, at: offset}
	return a.open[number], nil
}

// Close ends what is open.
func (a *assembly) Close() error {
	var errs []error
	for _, s := range a.open {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
