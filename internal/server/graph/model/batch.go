package model

import (
	"context"
	"fmt"
	"sync"

	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Batch reads for all objects of one list at once what each is asked for by itself. It lives as long as a request.
type Batch struct {
	ids []store.ID

	mu    sync.Mutex
	loads map[string]*load
}

type load struct {
	once   sync.Once
	values any
	err    error
}

// NewBatch is for the objects with these ids.
func NewBatch(ids []store.ID) *Batch { return &Batch{ids: ids, loads: map[string]*load{}} }

// Load returns one object's value of a kind: the first call reads those of all. what names the kind, and always stands for
// the same type. ok is false where there is none.
func Load[V any](
	ctx context.Context, b *Batch, what string, id store.ID, read func(ctx context.Context, ids []store.ID) (map[store.ID]V, error),
) (value V, ok bool, err error) {
	b.mu.Lock()
	l, known := b.loads[what]
	if !known {
		l = &load{}
		b.loads[what] = l
	}
	b.mu.Unlock()
	l.once.Do(func() { l.values, l.err = read(ctx, b.ids) })
	if l.err != nil {
		return value, false, l.err
	}
	values, right := l.values.(map[store.ID]V)
	if !right {
		return value, false, fmt.Errorf("batch %s holds a %T", what, l.values)
	}
	value, ok = values[id]
	return value, ok, nil
}
