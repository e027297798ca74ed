package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"strings"

	"cloud.google.com/go/storage"
	"golang.org/x/sync/errgroup"
	"google.golang.org/api/iterator"
)

const (
	// partsFolder is where parts wait, below the prefix of the bucket. No key has such a name.
	partsFolder = "=parts/"
	// composeLimit is how many objects Google joins at once.
	composeLimit = 32
)

// In Google Cloud Storage an upload in parts is a folder of objects that are joined at its end, which copies no bytes. The
// object that begins it holds the type.

func (g *gcsStore) folder(id string) string { return g.place.prefix + partsFolder + id + "/" }

func (g *gcsStore) part(id string, number int) string {
	return fmt.Sprintf("%s%05d", g.folder(id), number)
}

// checkID keeps an id from naming another folder.
func checkID(id string) error {
	if len(id) < 16 || strings.ContainsFunc(id, func(r rune) bool { return r > 127 || !plain(byte(r)) }) {
		return ErrNotFound
	}
	return nil
}

func (g *gcsStore) head(name, id string) string { return g.folder(id) + "of-" + digest(name) }

func (g *gcsStore) start(ctx context.Context, name string, o PutOptions) (string, error) {
	id := rand.Text()
	return id, g.put(ctx, g.head(name, id), bytes.NewReader(nil), 0, PutOptions{ContentType: o.ContentType})
}

func (g *gcsStore) signPart(ctx context.Context, _, id string, number int, o PutOptions) (SignedPut, error) {
	if err := checkID(id); err != nil {
		return SignedPut{}, err
	}
	return g.signPut(ctx, g.part(id, number), PutOptions{Expiry: o.Expiry, MD5: o.MD5})
}

func (g *gcsStore) complete(ctx context.Context, name, id string, parts []Part) error {
	if err := checkID(id); err != nil {
		return err
	}
	begun, err := g.stat(ctx, g.head(name, id))
	if err != nil {
		return err
	}
	names, err := g.checkParts(ctx, id, parts)
	if err != nil {
		return err
	}
	if err := g.join(ctx, name, id, names, begun.ContentType); err != nil {
		return err
	}
	_ = g.removeAll(ctx, id) // the object stands: what is left of the parts costs room and nothing else
	return nil
}

func (g *gcsStore) checkParts(ctx context.Context, id string, parts []Part) ([]string, error) {
	stored := map[string]Object{}
	query := &storage.Query{Prefix: g.folder(id)}
	if err := query.SetAttrSelection([]string{"Name", "Size", "MD5"}); err != nil {
		return nil, err
	}
	objects := g.handle.Objects(ctx, query)
	for {
		object, err := objects.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return nil, err
		}
		stored[path.Base(object.Name)] = Object{Size: object.Size, MD5: object.MD5}
	}
	names := make([]string, len(parts))
	for i, part := range parts {
		names[i] = g.part(id, part.Number)
		object, found := stored[path.Base(names[i])]
		if !found {
			return nil, fmt.Errorf("%w: part %d was not uploaded", errMismatch, part.Number)
		}
		if len(part.MD5) > 0 && len(object.MD5) > 0 && !bytes.Equal(part.MD5, object.MD5) {
			return nil, fmt.Errorf("%w: part %d has another MD5", errMismatch, part.Number)
		}
	}
	return names, nil
}

// join makes one object of many, in rounds of as many as Google takes at once.
func (g *gcsStore) join(ctx context.Context, name, id string, names []string, kind string) error {
	for round := 0; len(names) > composeLimit; round++ {
		var joined []string
		for start := 0; start < len(names); start += composeLimit {
			into := fmt.Sprintf("%sjoined-%d-%05d", g.folder(id), round, start)
			if err := g.compose(ctx, into, names[start:min(start+composeLimit, len(names))], defaultContentType); err != nil {
				return err
			}
			joined = append(joined, into)
		}
		names = joined
	}
	return g.compose(ctx, name, names, kind)
}

func (g *gcsStore) compose(ctx context.Context, into string, names []string, kind string) error {
	sources := make([]*storage.ObjectHandle, len(names))
	for i, name := range names {
		sources[i] = g.handle.Object(name)
	}
	composer := g.handle.Object(into).ComposerFrom(sources...)
	composer.ContentType = kind
	_, err := composer.Run(ctx)
	return err
}

func (g *gcsStore) abort(ctx context.Context, _, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	return g.removeAll(ctx, id)
}

func (g *gcsStore) removeAll(ctx context.Context, id string) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for object, err := range g.list(groupCtx, g.folder(id)) {
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			if err := g.remove(groupCtx, object.name); !errors.Is(err, ErrNotFound) {
				return err
			}
			return nil
		})
	}
	return group.Wait()
}
