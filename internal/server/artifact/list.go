package artifact

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	defaultPage = 50
	maxPage     = 1000
	// maxScan is how many collections, or versions of a collection, a filter looks at.
	maxScan = 100_000
)

// Query says which things of a list are wanted, in what order, and which page.
type Query struct {
	// Filter is JSON in the style of MongoDB; "" for none.
	Filter string
	// Order is a field with "+" or "-" before it; "" for newest first.
	Order string
	// After is the cursor of the last one of the page before; "" for the first page.
	After string
	// First is the size of the page; 0 means 50.
	First int
}

func (q Query) size() int {
	if q.First <= 0 {
		return defaultPage
	}
	return min(q.First, maxPage)
}

// Page is a part of a list.
type Page[T any] struct {
	Nodes []T
	// Cursors are those of the nodes.
	Cursors []string
	// End is the cursor that the next page begins after; "" for an empty page.
	End  string
	More bool
	// Total counts all nodes that the filter wants.
	Total int64
}

// paged makes a page of one node more than was wanted, which tells that there are more.
func paged[T any](nodes []T, size int, total int64, cursor func(T) string) *Page[T] {
	p := &Page[T]{Nodes: nodes, More: len(nodes) > size, Total: total}
	p.Nodes = p.Nodes[:min(len(nodes), size)]
	for _, node := range p.Nodes {
		p.End = cursor(node)
		p.Cursors = append(p.Cursors, p.End)
	}
	return p
}

// cursor is the place of a node in an order: its key there, and its number, which tells nodes of one key apart.
type cursor struct {
	Key string `json:"k,omitempty"`
	N   int64  `json:"n"`
}

func (c cursor) String() string {
	text, err := json.Marshal(c)
	if err != nil { // text and number always encode
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(text string) (cursor, error) {
	var c cursor
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		return c, invalid("the cursor is not one of this list")
	}
	return c, nil
}

// sorted brings nodes into an order and cuts a page out of them.
func sorted[T any](nodes []T, q Query, key func(T, string) (string, bool), id func(T) int64) (*Page[T], error) {
	name, descending := orderOf(q.Order)
	keys := make(map[int64]string, len(nodes))
	for _, node := range nodes {
		k, ok := key(node, name)
		if !ok {
			return nil, invalid(fmt.Sprintf("%q is nothing that this list can be sorted by", name))
		}
		keys[id(node)] = k
	}
	order := func(a, b cursor) int {
		n := cmp.Or(strings.Compare(a.Key, b.Key), cmp.Compare(a.N, b.N))
		if descending {
			return -n
		}
		return n
	}
	place := func(node T) cursor { return cursor{Key: keys[id(node)], N: id(node)} }
	slices.SortFunc(nodes, func(a, b T) int { return order(place(a), place(b)) })
	total := int64(len(nodes))
	if q.After != "" {
		after, err := parseCursor(q.After)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(nodes, func(node T) bool { return order(place(node), after) > 0 })
		if at < 0 {
			at = len(nodes)
		}
		nodes = nodes[at:]
	}
	return paged(nodes, q.size(), total, func(node T) string { return place(node).String() }), nil
}

// orderOf splits an order. Without one the newest comes first.
func orderOf(order string) (name string, descending bool) {
	switch {
	case order == "":
		return "id", true
	case order[0] == '-':
		return order[1:], true
	}
	return strings.TrimPrefix(order, "+"), false
}

// numberKey makes text of a number that sorts as the number does.
func numberKey(n int64) string { return fmt.Sprintf("%020d", uint64(n)+math.MaxInt64+1) }

// Collections lists a project's collections; of one type where that is not 0.
func (s *Service) Collections(ctx context.Context, place access.Place, artifactType store.ID, q Query) (*Page[*Collection], error) {
	wanted, everything, err := parseFilter(q.Filter)
	if err != nil {
		return nil, err
	}
	if everything && q.Order == "" {
		return s.newestCollections(ctx, place, artifactType, q)
	}
	rows, err := s.store.CollectionsOf(ctx, place.Project.ID, artifactType, 0, maxScan)
	if err != nil {
		return nil, err
	}
	list, err := s.tagged(ctx, place, rows)
	if err != nil {
		return nil, err
	}
	if !everything {
		list = slices.DeleteFunc(list, func(c *Collection) bool { return !wanted(c.values) })
	}
	return sorted(list, q, (*Collection).key, func(c *Collection) int64 { return int64(c.ArtifactCollection.ID) })
}

func (s *Service) newestCollections(ctx context.Context, place access.Place, artifactType store.ID, q Query) (*Page[*Collection], error) {
	var before store.ID
	if q.After != "" {
		after, err := parseCursor(q.After)
		if err != nil {
			return nil, err
		}
		before = store.ID(after.N)
	}
	rows, err := s.store.CollectionsOf(ctx, place.Project.ID, artifactType, before, int64(q.size()+1))
	if err != nil {
		return nil, err
	}
	total, err := s.store.CountCollections(ctx, place.Project.ID, artifactType)
	if err != nil {
		return nil, err
	}
	list, err := s.tagged(ctx, place, rows)
	return paged(list, q.size(), total, func(c *Collection) string { return cursor{N: int64(c.ArtifactCollection.ID)}.String() }), err
}

func (s *Service) tagged(ctx context.Context, place access.Place, rows []store.ArtifactCollection) ([]*Collection, error) {
	list := make([]*Collection, len(rows))
	byID := make(map[store.ID]*Collection, len(rows))
	ids := make([]store.ID, len(rows))
	for i, row := range rows {
		list[i] = &Collection{ArtifactCollection: row, Place: place}
		byID[row.ID], ids[i] = list[i], row.ID
	}
	for part := range slices.Chunk(ids, maxPage) {
		tags, err := s.store.TagsOf(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, tag := range tags {
			byID[tag.HolderID].Tags = append(byID[tag.HolderID].Tags, tag)
		}
	}
	return list, nil
}

// values are what filters see of a collection.
func (c *Collection) values(key string) []any {
	switch key {
	case "name":
		return []any{string(c.Name)}
	case "type", "artifact_type", "defaultArtifactType.name":
		return []any{string(c.TypeName)}
	case "description":
		return []any{string(c.Description)}
	case "created_at", "createdAt":
		return []any{c.CreatedAt.Time()}
	case "updated_at", "updatedAt":
		return []any{c.UpdatedAt.Time()}
	case "state":
		return []any{"READY"}
	case "collection_type", "collectionType":
		return []any{map[store.CollectionKind]string{store.Sequence: "SEQUENCE", store.Portfolio: "PORTFOLIO"}[c.Kind]}
	case "tag", "tags":
		return tagValues(c.Tags)
	}
	return nil
}

func tagValues(tags []store.ArtifactTag) []any {
	var values []any
	for _, tag := range tags {
		values = append(values, string(tag.Name))
	}
	return values
}

func (c *Collection) key(name string) (string, bool) {
	switch name {
	case "id":
		return "", true
	case "name":
		return string(c.Name), true
	case "type":
		return string(c.TypeName), true
	case "created_at", "createdAt":
		return numberKey(int64(c.CreatedAt)), true
	case "updated_at", "updatedAt":
		return numberKey(int64(c.UpdatedAt)), true
	}
	return "", false
}

// Versions lists the committed versions of a collection that the user may see.
func (s *Service) Versions(ctx context.Context, c *Collection, q Query) (*Page[*Member], error) {
	wanted, everything, err := parseFilter(q.Filter)
	if err != nil {
		return nil, err
	}
	if everything && q.Order == "" {
		return s.newestVersions(ctx, c, q)
	}
	var list []*Member
	before := store.NoVersion
	for len(list) < maxScan {
		rows, err := s.store.MembersOf(ctx, c.ArtifactCollection.ID, before, maxPage)
		if err != nil {
			return nil, err
		}
		members, err := s.members(ctx, c, rows)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			if m.Version != nil && (everything || wanted(m.values)) {
				list = append(list, m)
			}
		}
		if len(rows) < maxPage {
			break
		}
		before = rows[len(rows)-1].VersionIndex
	}
	return sorted(list, q, (*Member).key, func(m *Member) int64 { return m.VersionIndex })
}

func (m *Member) versionIndex() int64 { return m.ArtifactMembership.VersionIndex }

func (s *Service) newestVersions(ctx context.Context, c *Collection, q Query) (*Page[*Member], error) {
	before := store.NoVersion
	if q.After != "" {
		after, err := parseCursor(q.After)
		if err != nil {
			return nil, err
		}
		before = after.N
	}
	if before == 0 { // the first version was the last one
		before = math.MinInt64
	}
	rows, err := s.store.MembersOf(ctx, c.ArtifactCollection.ID, before, int64(q.size()+1))
	if err != nil {
		return nil, err
	}
	total, err := s.store.CountMembers(ctx, c.ArtifactCollection.ID)
	if err != nil {
		return nil, err
	}
	members, err := s.members(ctx, c, rows)
	return paged(members, q.size(), total, func(m *Member) string { return cursor{N: m.versionIndex()}.String() }), err
}

// values are what filters see of a version.
func (m *Member) values(key string) []any {
	v := m.Version
	switch key {
	case "state":
		return []any{"COMMITTED"}
	case "version_index", "versionIndex":
		return []any{m.versionIndex()}
	case "version":
		return []any{VersionName(m.versionIndex())}
	case "digest":
		return []any{string(v.Digest)}
	case "description":
		return []any{string(v.Description)}
	case "size":
		return []any{v.Size}
	case "file_count", "fileCount":
		return []any{v.FileCount}
	case "created_at", "createdAt":
		return []any{v.CreatedAt.Time()}
	case "updated_at", "updatedAt":
		return []any{v.UpdatedAt.Time()}
	case "tag", "tags":
		return tagValues(v.Tags)
	case "alias", "aliases":
		var values []any
		for _, alias := range m.Aliases() {
			values = append(values, string(alias.Alias))
		}
		return append(values, VersionName(m.versionIndex()))
	}
	if path, ok := strings.CutPrefix(key, "metadata."); ok {
		return metadataValue(v.Metadata, path)
	}
	return nil
}

func (m *Member) key(name string) (string, bool) {
	switch name {
	case "id", "version_index", "versionIndex":
		return "", true
	case "created_at", "createdAt":
		return numberKey(int64(m.Version.CreatedAt)), true
	case "updated_at", "updatedAt":
		return numberKey(int64(m.Version.UpdatedAt)), true
	case "size":
		return numberKey(m.Version.Size), true
	case "name", "digest":
		return string(m.Version.Digest), true
	}
	return "", false
}

// Types lists a project's types by name.
func (s *Service) Types(ctx context.Context, place access.Place, q Query) (*Page[store.ArtifactType], error) {
	var after cursor
	if q.After != "" {
		var err error
		if after, err = parseCursor(q.After); err != nil {
			return nil, err
		}
	}
	rows, err := s.store.ArtifactTypes(ctx, place.Project.ID, after.Key, int64(q.size()+1))
	return paged(rows, q.size(), int64(len(rows)), func(t store.ArtifactType) string { return cursor{Key: string(t.Name)}.String() }), err
}

// Type returns a project's type by name.
func (s *Service) Type(ctx context.Context, place access.Place, name string) (store.ArtifactType, error) {
	t, err := s.store.ArtifactType(ctx, place.Project.ID, name)
	if errors.Is(err, store.ErrNotFound) {
		return t, missing("artifact type "+name, err)
	}
	return t, err
}

// Aliases lists the aliases of a collection by name.
func (s *Service) Aliases(ctx context.Context, c *Collection, q Query) (*Page[store.ArtifactAlias], error) {
	var after cursor
	if q.After != "" {
		var err error
		if after, err = parseCursor(q.After); err != nil {
			return nil, err
		}
	}
	rows, err := s.store.AliasesIn(ctx, c.ArtifactCollection.ID, after.Key, int64(q.size()+1))
	return paged(rows, q.size(), int64(len(rows)), func(a store.ArtifactAlias) string { return cursor{Key: string(a.Alias)}.String() }), err
}

// OfRun lists the versions that a run made or used, in the order in which they were made.
func (s *Service) OfRun(ctx context.Context, place access.Place, run store.ID, direction store.EdgeDirection, q Query) (*Page[*Version], error) {
	var after cursor
	if q.After != "" {
		var err error
		if after, err = parseCursor(q.After); err != nil {
			return nil, err
		}
	}
	rows, err := s.store.ArtifactsOfRun(ctx, run, direction, store.ID(after.N), int64(q.size()+1))
	if err != nil {
		return nil, err
	}
	total, err := s.store.CountArtifactsOfRun(ctx, run, direction)
	if err != nil {
		return nil, err
	}
	more := len(rows) > q.size()
	rows = rows[:min(len(rows), q.size())]
	versions, err := s.Load(ctx, rows, place)
	page := paged(versions, q.size(), total, func(v *Version) string { return cursor{N: int64(v.Artifact.ID)}.String() })
	page.More = more
	if len(rows) > 0 { // the last one may be closed to this user
		page.End = cursor{N: int64(rows[len(rows)-1].ID)}.String()
	}
	return page, err
}

// Use notes that a run uses a version.
func (s *Service) Use(ctx context.Context, place access.Place, run string, artifact store.ID, usedAs string) (*Version, error) {
	v, err := s.ByID(ctx, artifact)
	if err != nil {
		return nil, err
	}
	row, err := s.runNamed(ctx, place, run)
	if err != nil {
		return nil, err
	}
	if row.ID == 0 || len(usedAs) > 255 {
		return nil, invalid("no run is named, or used_as is too long")
	}
	return v, s.store.AddEdge(ctx, store.ArtifactEdge{
		RunID: row.ID, Direction: store.EdgeInput, ArtifactID: artifact, UsedAs: store.Text(usedAs), CreatedAt: s.now(),
	})
}
