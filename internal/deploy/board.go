package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/uptrace/bun"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
)

// offer is one release as one channel offers it, ready to be sent.
type offer struct {
	channel   channelRecord
	promotion admin.Promotion
	document  []byte
	etag      string
}

// board shows what each channel offers now, and wakes whoever waits for a change.
type board struct {
	mu     sync.Mutex
	topics map[string]*topic
}

// topic is one channel on the board. Its offer is nil while the channel has no release.
type topic struct {
	channel channelRecord
	offer   *offer
	changed chan struct{}
}

func newBoard() *board { return &board{topics: map[string]*topic{}} }

// look returns what the named channel offers, and a channel that is closed when that changes.
func (b *board) look(name string) (topic, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found, ok := b.topics[name]
	if !ok {
		return topic{}, false
	}
	return *found, true
}

// replace shows the topics of next and wakes those who look at a channel whose offer differs.
func (b *board) replace(next map[string]*topic) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, now := range next {
		before, ok := b.topics[name]
		if ok && sameOffer(before.offer, now.offer) {
			now.changed = before.changed
			continue
		}
		now.changed = make(chan struct{})
		if ok {
			close(before.changed)
		}
	}
	b.topics = next
}

// wakeAll makes everybody who waits look again.
func (b *board) wakeAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, each := range b.topics {
		close(each.changed)
		each.changed = make(chan struct{})
	}
}

func (b *board) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.topics))
}

func sameOffer(a, b *offer) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.etag == b.etag && a.promotion.Sequence == b.promotion.Sequence
}

// refreshBoard makes the board say what the database says. The caller holds s.changing, or nobody else runs yet.
func (s *Server) refreshBoard(ctx context.Context) error {
	channels, own, err := readChannels(ctx, s.store.write)
	if err != nil {
		return err
	}
	topics := make(map[string]*topic, len(channels))
	for _, each := range channels {
		now := &topic{channel: each}
		if promotion, ok := resolve(each.Name, channels, own); ok {
			if now.offer, err = s.offerOf(ctx, each, promotion); err != nil {
				return err
			}
		}
		topics[each.Name] = now
	}
	s.board.replace(topics)
	return nil
}

// readChannels returns the channels, and what each was last pointed at, by name.
func readChannels(ctx context.Context, db bun.IDB) (map[string]channelRecord, map[string]offered, error) {
	channels, err := list[channelRecord](ctx, db, "name")
	if err != nil {
		return nil, nil, err
	}
	current, err := promotions(ctx, db, newest)
	if err != nil {
		return nil, nil, err
	}
	byName := make(map[string]channelRecord, len(channels))
	for _, each := range channels {
		byName[each.Name] = each
	}
	own := make(map[string]offered, len(current))
	for _, each := range current {
		own[each.ChannelName] = each
	}
	return byName, own, nil
}

// resolve returns the promotion that a channel offers: its own, else that of the nearest ancestor which has one.
// Inheritance has no cycles, because a channel can only inherit from one that existed before it.
func resolve(name string, channels map[string]channelRecord, own map[string]offered) (offered, bool) {
	for name != "" {
		if promotion, ok := own[name]; ok {
			return promotion, true
		}
		name = channels[name].InheritsFrom
	}
	return offered{}, false
}

func (s *Server) offerOf(ctx context.Context, channel channelRecord, promotion offered) (*offer, error) {
	if shown, ok := s.board.look(channel.Name); ok && shown.offer != nil && shown.offer.promotion.ReleaseID == promotion.ReleaseID {
		same := *shown.offer
		same.promotion = promotion.document()
		return &same, nil
	}
	record, err := find[releaseRecord](ctx, s.store.write, "id = ?", promotion.ReleaseID)
	if err != nil {
		return nil, fmt.Errorf("read release %s of channel %s: %w", promotion.ReleaseID, channel.Name, err)
	}
	return newOffer(channel, record, promotion.document())
}

// newOffer adds the channel to the release's document.
func newOffer(channel channelRecord, record *releaseRecord, promotion admin.Promotion) (*offer, error) {
	var document struct {
		Metadata map[string]string `json:"metadata"`
		Chart    json.RawMessage   `json:"chart"`
		Values   json.RawMessage   `json:"values"`
	}
	if err := json.Unmarshal(record.Document, &document); err != nil {
		return nil, fmt.Errorf("read release %s: %w", record.ID, err)
	}
	document.Metadata[catalog.KeyChannelID] = channel.ID
	document.Metadata[catalog.KeyChannelName] = channel.Name
	if channel.InheritsFrom != "" {
		document.Metadata[catalog.KeyChannelInheritsFrom] = channel.InheritsFrom
	}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("write release %s: %w", record.ID, err)
	}
	return &offer{channel: channel, promotion: promotion, document: text, etag: catalog.ETagOf(text)}, nil
}
