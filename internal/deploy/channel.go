package deploy

import (
	"context"
	"errors"
	"regexp"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
)

const channelNameForm = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`

// ensureDefaultChannel makes the channel of whoever has no licence, at the first start.
func (s *Server) ensureDefaultChannel(ctx context.Context) error {
	_, err := find[channelRecord](ctx, s.store.write, "name = ?", license.DefaultChannel)
	if !errors.Is(err, errNoRecord) {
		return err
	}
	return insert(ctx, s.store.write, &channelRecord{ID: uuid.NewString(), Name: license.DefaultChannel, CreatedAt: stamp(s.now())})
}

// createChannel makes a channel, and tells whether it is new.
func (s *Server) createChannel(ctx context.Context, wanted admin.NewChannel) (_ admin.Channel, created bool, err error) {
	if !regexp.MustCompile(channelNameForm).MatchString(wanted.Name) {
		return admin.Channel{}, false, invalid("create channel", "the name must be 1 to 63 lower-case letters, digits and dashes")
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if wanted.InheritsFrom != "" {
		// A channel cannot inherit from itself: it does not exist yet.
		if _, ok := s.board.look(wanted.InheritsFrom); !ok || wanted.InheritsFrom == wanted.Name {
			return admin.Channel{}, false, noChannel(wanted.InheritsFrom)
		}
	}
	existing, err := find[channelRecord](ctx, s.store.write, "name = ?", wanted.Name)
	switch {
	case errors.Is(err, errNoRecord):
	case err != nil:
		return admin.Channel{}, false, err
	case existing.InheritsFrom != wanted.InheritsFrom:
		return admin.Channel{}, false, &fault.Error{
			Reason: "ChannelExists", Op: "create channel " + wanted.Name, Err: errors.New("it exists and inherits from another channel"),
			Hint: "Choose another name; what a channel inherits from never changes.",
		}
	default:
		document, err := s.channelDocument(*existing)
		return document, false, err
	}
	record := channelRecord{ID: uuid.NewString(), Name: wanted.Name, InheritsFrom: wanted.InheritsFrom, CreatedAt: stamp(s.now())}
	err = s.store.write.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if err := insert(ctx, tx, &record); err != nil {
			return err
		}
		return s.signChanges(ctx, tx)
	})
	if err != nil {
		return admin.Channel{}, false, err
	}
	s.logger.Info("channel created", "channel", record.Name)
	if err := s.refreshBoard(ctx); err != nil {
		return admin.Channel{}, false, err
	}
	document, err := s.channelDocument(record)
	return document, true, err
}

func (s *Server) listChannels(ctx context.Context) ([]admin.Channel, error) {
	records, err := list[channelRecord](ctx, s.store.read, "name")
	if err != nil {
		return nil, err
	}
	documents := make([]admin.Channel, 0, len(records))
	for _, each := range records {
		document, err := s.channelDocument(each)
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return documents, nil
}

// showChannel returns a channel with its history.
func (s *Server) showChannel(ctx context.Context, name string) (admin.Channel, error) {
	record, err := find[channelRecord](ctx, s.store.read, "name = ?", name)
	if errors.Is(err, errNoRecord) {
		return admin.Channel{}, noChannel(name)
	}
	if err != nil {
		return admin.Channel{}, err
	}
	document, err := s.channelDocument(*record)
	if err != nil {
		return admin.Channel{}, err
	}
	history, err := promotions(ctx, s.store.read, "p.channel_id = ?", record.ID)
	if err != nil {
		return admin.Channel{}, err
	}
	for _, each := range history {
		document.History = append(document.History, each.document())
	}
	return document, nil
}

func (s *Server) channelDocument(record channelRecord) (admin.Channel, error) {
	document := admin.Channel{ID: record.ID, Name: record.Name, InheritsFrom: record.InheritsFrom, CreatedAt: moment(record.CreatedAt)}
	if shown, ok := s.board.look(record.Name); ok && shown.offer != nil {
		current := shown.offer.promotion
		document.Current = &current
	}
	return document, nil
}

func noChannel(name string) error {
	return notFound("ChannelNotFound", "find channel", "there is no channel "+bounded(name), "List the channels: deploy-server channel list. Make one: deploy-server channel create NAME.")
}
