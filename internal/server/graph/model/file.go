package model

import (
	"context"
	"encoding/base64"
	"time"
)

// File is a file of a run or of an artifact.
type File struct {
	ID string
	// Name is the path inside of the run or the artifact.
	Name      string
	SizeBytes int64
	Mimetype  *string
	UpdatedAt *time.Time
	// MD5 is in base64; Digest that of an artifact's manifest.
	MD5, Digest *string
	StoragePath *string

	// Address makes the URL that needs an API key, or the one for an upload; nil where there is none.
	Address func(ctx context.Context, upload bool) (string, error)
	// Direct makes the URL that needs no key.
	Direct func(ctx context.Context) (string, error)
	// Headers returns what has to be sent with an upload; nil means nothing.
	Headers func(ctx context.Context) ([]string, error)
}

// DisplayName is the same as the name.
func (f File) DisplayName() string { return f.Name }

// URL is signed or looked up only where it is asked for.
func (f File) URL(ctx context.Context, upload *bool) (*string, error) {
	if f.Address == nil {
		return nil, nil
	}
	address, err := f.Address(ctx, upload != nil && *upload)
	return &address, err
}

// DirectURL is signed only where it is asked for.
func (f File) DirectURL(ctx context.Context) (string, error) { return f.Direct(ctx) }

// UploadHeaders are never null.
func (f File) UploadHeaders(ctx context.Context) ([]string, error) {
	if f.Headers == nil {
		return []string{}, nil
	}
	return f.Headers(ctx)
}

// FileConnection is a page of files.
type FileConnection struct {
	Edges    []*FileEdge
	PageInfo *PageInfo
	// Count returns how many there are on all pages.
	Count func(ctx context.Context) (int, error)
}

// TotalCount is counted only where it is asked for.
func (c FileConnection) TotalCount(ctx context.Context) (*int, error) {
	if c.Count == nil {
		return nil, nil
	}
	count, err := c.Count(ctx)
	return &count, err
}

// UploadHeaders are the same for every file.
func (c FileConnection) UploadHeaders(ctx context.Context) ([]string, error) {
	for _, edge := range c.Edges {
		return edge.Node.UploadHeaders(ctx)
	}
	return []string{}, nil
}

// MD5 is a hash as the protocol writes it; null where it is not known.
func MD5(sum []byte) *string {
	if len(sum) == 0 {
		return nil
	}
	text := base64.StdEncoding.EncodeToString(sum)
	return &text
}
