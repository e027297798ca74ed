package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	sigsjson "sigs.k8s.io/json"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// maxValuesBytes bounds the values of a release: installations keep them in a Kubernetes Secret.
const maxValuesBytes = 1 << 20

// publish stores a release, and promotes it where asked. It tells whether the release is new: publishing the same
// content under the same name again is no error, other content is.
func (s *Server) publish(ctx context.Context, wanted admin.NewRelease) (_ admin.Release, created bool, err error) {
	draft, err := s.draft(ctx, wanted)
	if err != nil {
		return admin.Release{}, false, err
	}
	if wanted.Promote != "" {
		if _, ok := s.board.look(wanted.Promote); !ok {
			return admin.Release{}, false, noChannel(wanted.Promote)
		}
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	record, err := find[releaseRecord](ctx, s.store.write, "name = ?", wanted.Name)
	switch {
	case errors.Is(err, errNoRecord):
		created = true
	case err != nil:
		return admin.Release{}, false, err
	case record.ContentDigest != draft.ContentDigest:
		return admin.Release{}, false, &fault.Error{
			Reason: "ReleaseImmutable", Op: "publish release " + wanted.Name, Err: errors.New("a release of this name exists with other content"),
			Hint: "Releases never change. Publish the new content under a new name.",
		}
	default:
		draft = record
	}
	err = s.store.write.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if created {
			if err := insert(ctx, tx, draft); err != nil {
				return err
			}
		}
		if wanted.Promote != "" {
			if err := s.point(ctx, tx, wanted.Promote, draft, wanted.By); err != nil {
				return err
			}
		}
		return s.signChanges(ctx, tx)
	})
	if err != nil {
		return admin.Release{}, false, err
	}
	if created {
		s.metrics.publishes.Inc()
		s.logger.Info("release published", "releaseID", draft.ID, "release", draft.Name)
	}
	if err := s.refreshBoard(ctx); err != nil {
		return admin.Release{}, false, err
	}
	document, err := s.releaseDocument(*draft, false)
	return document, created, err
}

// draft makes the record of a release that is to be published.
func (s *Server) draft(ctx context.Context, wanted admin.NewRelease) (*releaseRecord, error) {
	if len(wanted.Values) > maxValuesBytes {
		return nil, tooLarge("publish release", "the values", maxValuesBytes)
	}
	if uuid.Validate(wanted.Name) == nil {
		return nil, invalid("publish release", "the name must not be a UUID: it would be taken for the ID of a release")
	}
	release := &catalog.Release{Metadata: map[string]string{catalog.KeyReleaseName: wanted.Name}, Values: map[string]any{}}
	if len(wanted.Values) > 0 && string(wanted.Values) != "null" {
		if err := sigsjson.UnmarshalCaseSensitivePreserveInts(wanted.Values, &release.Values); err != nil {
			return nil, invalid("publish release", "the values must be one object of settings")
		}
	}
	chart := wanted.Chart
	if chart.URL == "" {
		if _, err := find[chartRecord](ctx, s.store.read, "name = ? AND version = ?", chart.Name, chart.Version); errors.Is(err, errNoRecord) {
			return nil, notFound("ChartNotFound", "publish release "+wanted.Name, "the repository has no chart "+chart.Name+" "+chart.Version,
				"Push it first: deploy-server chart push FILE.tgz. For a chart of another repository give its URL with --chart-url.")
		} else if err != nil {
			return nil, err
		}
		chart.URL = strings.TrimRight(s.external.String(), "/") + "/charts"
	}
	release.Chart = map[string]any{"url": chart.URL, "version": chart.Version}
	if chart.Name != "" {
		release.Chart["name"] = chart.Name
	}
	if err := release.Validate(); err != nil {
		return nil, err
	}
	content, err := release.ETag()
	if err != nil {
		return nil, err
	}
	now := s.now().UTC()
	id := uuid.NewString()
	release.Metadata[catalog.KeyReleaseID] = id
	release.Metadata[catalog.KeyReleaseCreatedAt] = now.Format(time.RFC3339)
	document, err := release.Canonical()
	if err != nil {
		return nil, err
	}
	return &releaseRecord{
		ID: id, Name: wanted.Name, Document: document, ContentDigest: content, CreatedAt: stamp(now), CreatedBy: actor(wanted.By),
	}, nil
}

// promote points a channel at a release and wakes its followers. Pointing it at what it offers already changes nothing.
func (s *Server) promote(ctx context.Context, channel string, wanted admin.NewPromotion) (admin.Promotion, error) {
	record, err := s.findRelease(ctx, wanted.Release)
	if err != nil {
		return admin.Promotion{}, err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	err = s.store.write.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if err := s.point(ctx, tx, channel, record, wanted.By); err != nil {
			return err
		}
		return s.signChanges(ctx, tx)
	})
	if err != nil {
		return admin.Promotion{}, err
	}
	if err := s.refreshBoard(ctx); err != nil {
		return admin.Promotion{}, err
	}
	shown, ok := s.board.look(channel)
	if !ok || shown.offer == nil {
		return admin.Promotion{}, fmt.Errorf("promote %s: channel %s offers nothing afterwards", record.Name, channel)
	}
	return shown.offer.promotion, nil
}

// point records a promotion within tx.
func (s *Server) point(ctx context.Context, tx bun.Tx, channel string, release *releaseRecord, by string) error {
	target, err := find[channelRecord](ctx, tx, "name = ?", channel)
	if errors.Is(err, errNoRecord) {
		return noChannel(channel)
	}
	if err != nil {
		return err
	}
	current, err := promotions(ctx, tx, newest+" AND p.channel_id = ?", target.ID)
	if err != nil {
		return err
	}
	if len(current) > 0 && current[0].ReleaseID == release.ID {
		return nil
	}
	record := promotionRecord{ChannelID: target.ID, ReleaseID: release.ID, PromotedAt: stamp(s.now()), PromotedBy: actor(by)}
	if err := insert(ctx, tx, &record); err != nil {
		return err
	}
	s.metrics.promotions.WithLabelValues(target.Name).Inc()
	s.logger.Info("release promoted", "releaseID", release.ID, "release", release.Name, "channel", target.Name, "by", record.PromotedBy)
	return nil
}

// findRelease finds a release by its ID or its name.
func (s *Server) findRelease(ctx context.Context, reference string) (*releaseRecord, error) {
	record, err := find[releaseRecord](ctx, s.store.read, "id = ? OR name = ?", reference, reference)
	if errors.Is(err, errNoRecord) {
		return nil, notFound("ReleaseNotFound", "find release", "no release has this ID or name", "List the releases: deploy-server release list.")
	}
	return record, err
}

// listReleases reads the chart of each release and leaves its values in the database.
func (s *Server) listReleases(ctx context.Context) ([]admin.Release, error) {
	var records []releaseRecord
	err := s.store.read.NewSelect().Model(&records).Column("id", "name", "created_at", "created_by").
		ColumnExpr("json_object('chart', json_extract(CAST(document AS TEXT), '$.chart')) AS document").
		OrderExpr("created_at DESC, id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list releases: %w", err)
	}
	documents := make([]admin.Release, 0, len(records))
	for _, each := range records {
		document, err := s.releaseDocument(each, false)
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return documents, nil
}

func (s *Server) releaseDocument(record releaseRecord, withValues bool) (admin.Release, error) {
	var content struct {
		Chart  map[string]any  `json:"chart"`
		Values json.RawMessage `json:"values"`
	}
	if err := json.Unmarshal(record.Document, &content); err != nil {
		return admin.Release{}, fmt.Errorf("read release %s: %w", record.ID, err)
	}
	document := admin.Release{
		ID: record.ID, Name: record.Name, Chart: content.Chart, CreatedAt: moment(record.CreatedAt), CreatedBy: record.CreatedBy,
		Channels: []string{},
	}
	if withValues {
		document.Values = content.Values
	}
	for _, name := range s.board.names() {
		if shown, ok := s.board.look(name); ok && shown.offer != nil && shown.offer.promotion.ReleaseID == record.ID {
			document.Channels = append(document.Channels, name)
		}
	}
	return document, nil
}
