package quota_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/quota"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func TestOneReplicaMeasuresWhatHasChanged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		cfg := quota.Config{Default: 1000, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}
		first, second := quota.New(s, cfg), quota.New(s, cfg)
		accounts := account.New(s, account.Config{})
		user, err := accounts.CreateUser(t.Context(), account.NewUser{Username: "ada", Email: "ada@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		runs := run.New(s, run.Config{Guard: access.NewGuard(s), Quotas: first, Logger: cfg.Logger})
		begun, err := runs.Upsert(account.WithUser(t.Context(), user), run.Upsert{Project: "p", Name: "r"})
		if err != nil {
			t.Fatal(err)
		}
		entity := begun.Place.Entity.ID
		put := func(size int64) {
			t.Helper()
			if err := s.PutRunFiles(t.Context(), begun.ID, []store.RunFile{{Name: "f", Size: size}}); err != nil {
				t.Fatal(err)
			}
		}
		measured := func(by *quota.Service, turn bool, want int64) {
			t.Helper()
			if worked, err := by.MeasureDue(t.Context()); worked != turn || err != nil {
				t.Fatalf("its turn: %t, %v, want %t", worked, err, turn)
			}
			if u, err := by.Of(t.Context(), entity); err != nil || u.Used() != want {
				t.Errorf("measured %+v, %v, want %d", u, err, want)
			}
		}
		put(400)
		measured(first, true, 400)
		put(500)
		measured(second, false, 400)
		measured(first, true, 500)
		now = now.Add(10 * time.Minute) // the first one has died
		put(999)
		measured(second, true, 999)
		if err := first.Room(t.Context(), entity); err != nil {
			t.Errorf("a byte below the quota: %v", err)
		}
		put(1000)
		measured(first, false, 999)
		measured(second, true, 1000)
		for _, replica := range []*quota.Service{first, second} {
			if err := replica.Room(t.Context(), entity); err == nil {
				t.Error("there is room where the quota is used up")
			}
		}
		if u, err := first.Set(t.Context(), entity, 2000); err != nil || u.Quota != 2000 || !u.Own {
			t.Errorf("set %+v, %v", u, err)
		}
		if err := second.Room(t.Context(), entity); err != nil {
			t.Errorf("after the quota was raised at another replica: %v", err)
		}
	})
}
