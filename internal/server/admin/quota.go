package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/quota"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Quota is what an entity stores and may store, in bytes.
type Quota struct {
	Entity string `json:"entity"`
	// Quota is the number for people, "none" where there is no limit.
	Quota      string `json:"quota"`
	QuotaBytes int64  `json:"quotaBytes"`
	// Own tells that the quota is not the server's default.
	Own            bool  `json:"own"`
	UsedBytes      int64 `json:"usedBytes"`
	FilesBytes     int64 `json:"filesBytes"`
	ArtifactsBytes int64 `json:"artifactsBytes"`
	HistoryBytes   int64 `json:"historyBytes"`
	// MeasuredAt is null where nothing was measured yet.
	MeasuredAt *time.Time `json:"measuredAt"`
}

// QuotaOf shows what an entity stores and may store.
func QuotaOf(u quota.Usage) Quota {
	shown := Quota{
		Entity: u.Entity, Quota: "none", QuotaBytes: u.Quota, Own: u.Own, UsedBytes: u.Used(),
		FilesBytes: u.Files, ArtifactsBytes: u.Artifacts, HistoryBytes: u.History,
	}
	if u.Quota > 0 {
		shown.Quota = quota.Size(u.Quota)
	}
	if !u.MeasuredAt.IsZero() {
		shown.MeasuredAt = &u.MeasuredAt
	}
	return shown
}

// Quotas shows every entity that has projects or a quota of its own, oldest first.
func Quotas(ctx context.Context, quotas *quota.Service) ([]Quota, error) {
	shown := []Quota{}
	err := quotas.List(ctx, func(u quota.Usage) error {
		shown = append(shown, QuotaOf(u))
		return nil
	})
	return shown, err
}

func (a api) quotas(ctx context.Context, _ *http.Request) (int, any, error) {
	shown, err := Quotas(ctx, a.Quotas)
	return http.StatusOK, shown, err
}

// ofEntity acts on the entity that the address names, and answers with what it stores and may store then.
func (a api) ofEntity(act func(ctx context.Context, r *http.Request, entity store.ID) (quota.Usage, error)) action {
	return func(ctx context.Context, r *http.Request) (int, any, error) {
		entity, err := a.Accounts.Entity(ctx, r.PathValue("entity"))
		if err != nil {
			return 0, nil, err
		}
		usage, err := act(ctx, r, entity.ID)
		return http.StatusOK, QuotaOf(usage), err
	}
}

func (a api) quota(ctx context.Context, _ *http.Request, entity store.ID) (quota.Usage, error) {
	return a.Quotas.Of(ctx, entity)
}

func (a api) setQuota(ctx context.Context, r *http.Request, entity store.ID) (quota.Usage, error) {
	var form struct {
		// Quota is a size such as 500Gi.
		Quota string `json:"quota"`
	}
	if err := read(r, &form); err != nil {
		return quota.Usage{}, err
	}
	bytes, err := quota.ParseSize(form.Quota)
	if err != nil {
		return quota.Usage{}, err
	}
	return a.Quotas.Set(ctx, entity, bytes)
}

func (a api) unsetQuota(ctx context.Context, _ *http.Request, entity store.ID) (quota.Usage, error) {
	return a.Quotas.Unset(ctx, entity)
}

func (a api) measure(ctx context.Context, _ *http.Request, entity store.ID) (quota.Usage, error) {
	return a.Quotas.Measure(ctx, entity)
}
