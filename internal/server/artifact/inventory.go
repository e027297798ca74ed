package artifact

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// batchEntries are looked up at once.
	batchEntries = 4096
	// listedFrom is the number of objects of one birth from which on listing its folder is cheaper than asking for each.
	listedFrom = 64
	// listedParts is into how many parts a folder is divided from dividedFrom objects on, which are listed at once: a store
	// takes about 0.1 s for 1,000 names, and tells the next ones only then.
	listedParts = 16
	dividedFrom = 8000
	// anySize stands for the size of an object that is not there.
	anySize = -1
)

// held is one object that a version holds.
type held struct {
	birth store.ID
	id    store.ID
	size  int64
	md5   [md5Size]byte
}

// found is what a manifest holds.
type found struct {
	entries int64
	size    int64
	// objects are in the order of birth and id, each once but for those that entries give different sizes.
	objects []held
}

// contents are the ids of the objects in ascending order, each once.
func (f *found) contents() []store.ID {
	ids := make([]store.ID, len(f.objects))
	for i, o := range f.objects {
		ids[i] = o.id
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// inventory reads a manifest and finds the contents of the project that it names. What it says of where bytes were born is
// not trusted: a digest finds what this project holds, and nothing else.
func (s *Service) inventory(ctx context.Context, a store.Artifact, key string) (*found, error) {
	f := &found{}
	batch := make([]entry, 0, batchEntries)
	look := func() error {
		err := s.locate(ctx, a, batch, f)
		batch = batch[:0]
		return err
	}
	err := s.read(ctx, key, func(r io.Reader) error {
		if _, err := readManifest(r, func(e entry) error {
			if err := checkPath(e.path); err != nil {
				return err
			}
			f.entries++
			f.size += e.size
			if e.ref != "" {
				return nil
			}
			e.raw = nil
			if batch = append(batch, e); len(batch) == batchEntries {
				return look()
			}
			return nil
		}); err != nil {
			return err
		}
		return look()
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(f.objects, func(a, b held) int {
		if a.birth != b.birth {
			return int(min(max(a.birth-b.birth, -1), 1))
		}
		return int(min(max(a.id-b.id, -1), 1))
	})
	f.objects = slices.CompactFunc(f.objects, func(a, b held) bool { return a.id == b.id && a.size == b.size })
	return f, nil
}

// locate finds the contents of some entries.
func (s *Service) locate(ctx context.Context, a store.Artifact, batch []entry, f *found) error {
	names := make([]store.Text, len(batch))
	for i, e := range batch {
		md5, ok := md5OfBase64(e.digest)
		if !ok {
			return invalid(fmt.Sprintf("the digest of the file %q is no MD5", e.path))
		}
		names[i] = md5
	}
	contents, err := s.store.Contents(ctx, a.ProjectID, names, s.now())
	if err != nil {
		return err
	}
	for i, e := range batch {
		c, ok := contents[names[i]]
		if !ok {
			return &fault.Error{
				Reason: ReasonIncomplete, Op: fmt.Sprintf("the file %q of the artifact was not uploaded", e.path),
				Hint: "Log the artifact again: the file will be uploaded.",
			}
		}
		h := held{birth: c.BirthID, id: c.ID, size: e.size}
		copy(h.md5[:], c.MD5)
		f.objects = append(f.objects, h)
	}
	return nil
}

// badObject is an object that is not what a manifest says.
type badObject struct {
	id      store.ID
	md5     store.Text
	size    int64
	problem string
}

// Error tells what is wrong with it.
func (b *badObject) Error() string { return "an object " + b.problem }

// judge compares an object with what a manifest says.
func judge(h held, object blob.Object) error {
	bad := &badObject{id: h.id, md5: store.Text(h.md5[:]), size: h.size}
	switch {
	case object.Size != h.size:
		bad.problem = fmt.Sprintf("has %d bytes in the bucket, and %d in the manifest", object.Size, h.size)
	case len(object.MD5) == md5Size && string(object.MD5) != string(h.md5[:]):
		bad.problem = "is not what was to be uploaded: its MD5 differs"
	default:
		return nil
	}
	return bad
}

// verify looks whether every object is in the bucket, with the size that the manifest says.
func (s *Service) verify(ctx context.Context, a store.Artifact, f *found) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(objectCalls)
	for rest := f.objects; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].birth == rest[0].birth {
			n++
		}
		born := rest[:n]
		rest = rest[n:]
		if n >= listedFrom {
			for beginning, part := range s.divided(born) {
				group.Go(func() error { return s.verifyListed(groupCtx, a, beginning, part) })
			}
			continue
		}
		for _, h := range born {
			group.Go(func() error { return s.verifyOne(groupCtx, a, h) })
		}
	}
	return group.Wait()
}

func (s *Service) verifyOne(ctx context.Context, a store.Artifact, h held) error {
	object, err := s.bucket.Stat(ctx, h.key(a))
	if isObjectMissing(err) {
		return &badObject{id: h.id, md5: store.Text(h.md5[:]), size: anySize, problem: "is not in the bucket"}
	}
	if err != nil {
		return err
	}
	return judge(h, object)
}

// key is the key of the object.
func (h held) key(a store.Artifact) string {
	return store.Content{ID: h.id, EntityID: a.EntityID, BirthID: h.birth, MD5: store.Text(h.md5[:])}.Key()
}

// divided are objects of one folder by how their names begin, in the order in which they are given.
func (s *Service) divided(born []held) map[string][]held {
	if len(born) < dividedFrom || !s.bucket.Paged() {
		return map[string][]held{"": born}
	}
	parts := make(map[string][]held, listedParts)
	for _, h := range born {
		beginning := strconv.FormatInt(int64(h.md5[0]>>4), listedParts) // the name begins with the MD5 in hex
		parts[beginning] = append(parts[beginning], h)
	}
	return parts
}

// verifyListed lists what of a folder begins so, and asks for each object that the listing did not show.
func (s *Service) verifyListed(ctx context.Context, a store.Artifact, beginning string, born []held) error {
	seen := make([]bool, len(born))
	budget := 16 * len(born) // a version may hold little of a huge one
	for object, err := range s.bucket.ListSome(ctx, store.BirthFolder(a.EntityID, born[0].birth), beginning) {
		if err != nil {
			return err
		}
		if budget--; budget < 0 {
			break
		}
		id, ok := contentOfKey(object.Key)
		if !ok {
			continue
		}
		i, _ := slices.BinarySearchFunc(born, id, func(h held, id store.ID) int { return int(min(max(h.id-id, -1), 1)) })
		for ; i < len(born) && born[i].id == id; i++ {
			seen[i] = true
			if err := judge(born[i], object); err != nil {
				return err
			}
		}
	}
	for i, h := range born {
		if seen[i] {
			continue
		}
		if err := s.verifyOne(ctx, a, h); err != nil {
			return err
		}
	}
	return nil
}

// contentOfKey is the id of the contents that an object holds.
func contentOfKey(key string) (store.ID, bool) {
	n, err := strconv.ParseInt(key[strings.LastIndexByte(key, '-')+1:], 10, 64)
	return store.ID(n), err == nil
}
