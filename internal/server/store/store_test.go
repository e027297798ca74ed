package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/mysql"
	"github.com/kubewandb/kubewandb/test/storetest"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 123_456_000, time.UTC)

func newUser(name string) store.User {
	return store.User{
		Username: store.Text(name), UsernameKey: store.Text(strings.ToLower(name)),
		Email: store.Text(name + "@example.com"), EmailKey: store.Text(strings.ToLower(name) + "@example.com"),
		Name: "Person", PasswordHash: "hash", CreatedAt: store.At(now),
	}
}

func create(t *testing.T, s *store.Store, n store.NewUser) store.User {
	t.Helper()
	u, err := s.CreateUser(t.Context(), n)
	if err != nil {
		t.Fatalf("create user %s: %v", n.User.Username, err)
	}
	return u
}

func TestTextComesBackAsItWasWritten(t *testing.T) {
	texts := map[string]string{
		"digits with leading zeros":   "007",
		"a large number":              "12345678901234567890",
		"an exponent":                 "1e5",
		"a trailing space":            "HT%3ML ",
		"an emoji":                    "naïve 🦊",
		"quotes and backslashes":      `'"\%_;--`,
		"a zero byte":                 "a\x00b",
		"bytes that are no UTF-8":     "\xff\xfe",
		"nothing":                     "",
		"something that looks NULL":   "NULL",
		"a hexadecimal literal":       "X'41'",
		"a newline and a tab":         "a\n\tb",
		"as much as the column holds": strings.Repeat("ä", 512),
	}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		i := 0
		for sentence, text := range texts {
			i++
			u := newUser(fmt.Sprintf("user%d", i))
			u.Name = store.Text(text)
			create(t, s, store.NewUser{User: u})
			got, err := s.UserByUsername(t.Context(), string(u.UsernameKey))
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Name) != text {
				t.Errorf("%s: wrote %q, read %q", sentence, text, got.Name)
			}
			if got.CreatedAt.Time() != now {
				t.Errorf("time: wrote %s, read %s", now, got.CreatedAt.Time())
			}
		}
	})
}

func TestNamesThatDifferOnlyByCaseOrSpaceAreDifferentKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for i, key := range []string{"name", "NAME", "name ", "nàme", "007", "7"} {
			u := newUser(fmt.Sprintf("u%d", i))
			u.UsernameKey = store.Text(key)
			create(t, s, store.NewUser{User: u})
		}
		u := newUser("other")
		u.UsernameKey = "name "
		if _, err := s.CreateUser(t.Context(), store.NewUser{User: u}); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("the same key again: got %v, want ErrDuplicate", err)
		}
	})
}

func TestAFailedUserLeavesNothingBehind(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		key := store.Key{Hash: []byte("hash"), Name: "k"}
		create(t, s, store.NewUser{User: newUser("first"), Key: &key})
		same := store.Key{Hash: []byte("hash"), Name: "k"}
		if _, err := s.CreateUser(t.Context(), store.NewUser{User: newUser("second"), Key: &same}); !errors.Is(err, store.ErrDuplicate) {
			t.Fatalf("got %v, want ErrDuplicate", err)
		}
		if _, err := s.UserByUsername(t.Context(), "second"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the user of a failed transaction: got %v, want ErrNotFound", err)
		}
	})
}

func TestOfManyFirstUsersOneIsMade(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, cfg store.Config) {
		replicas := []*store.Store{storetest.Open(t, cfg), storetest.Open(t, cfg)}
		const tries = 8
		results := make([]error, tries)
		var group sync.WaitGroup
		for i := range tries {
			group.Go(func() {
				_, results[i] = replicas[i%2].CreateUser(t.Context(),
					store.NewUser{User: newUser(fmt.Sprintf("admin%d", i)), First: true})
			})
		}
		group.Wait()
		won := 0
		for _, err := range results {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, store.ErrNotFirst):
				t.Errorf("got %v, want ErrNotFirst", err)
			}
		}
		users, err := replicas[0].Users(t.Context(), 0, 100)
		if err != nil || won != 1 || len(users) != 1 {
			t.Errorf("%d calls won and %d users exist (%v), want one", won, len(users), err)
		}
	})
}

func TestTheFirstUserMayBeMadeByACommand(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		if any, err := s.AnyUser(t.Context()); err != nil || any {
			t.Fatalf("an empty database has a user: %v %v", any, err)
		}
		create(t, s, store.NewUser{User: newUser("made")})
		if any, err := s.AnyUser(t.Context()); err != nil || !any {
			t.Fatalf("AnyUser is %v (%v), want true", any, err)
		}
		if _, err := s.CreateUser(t.Context(), store.NewUser{User: newUser("late"), First: true}); !errors.Is(err, store.ErrNotFirst) {
			t.Errorf("got %v, want ErrNotFirst", err)
		}
	})
}

func TestADeletedUserLosesKeysSessionsAndAddress(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		u := create(t, s, store.NewUser{
			User:    newUser("leaver"),
			Key:     &store.Key{Hash: []byte("key"), Name: "key"},
			Session: &store.Session{TokenHash: []byte("token"), ExpiresAt: store.At(now.Add(time.Hour))},
		})
		if _, err := s.OwnerOfKey(ctx, []byte("key")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.OwnerOfSession(ctx, []byte("token"), now); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteUser(ctx, u.ID, false, now); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteUser(ctx, u.ID, false, now); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("delete again: got %v, want ErrNotFound", err)
		}
		if _, err := s.OwnerOfKey(ctx, []byte("key")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("key: got %v, want ErrNotFound", err)
		}
		if _, err := s.OwnerOfSession(ctx, []byte("token"), now); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("session: got %v, want ErrNotFound", err)
		}
		again := newUser("returner")
		again.Email, again.EmailKey = u.Email, u.EmailKey
		create(t, s, store.NewUser{User: again})
	})
}

func TestSessionsEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		u := create(t, s, store.NewUser{User: newUser("user")})
		for token, life := range map[string]time.Duration{"short": time.Minute, "long": time.Hour} {
			session := store.Session{TokenHash: []byte(token), UserID: u.ID, ExpiresAt: store.At(now.Add(life))}
			if err := s.InsertSession(ctx, session); err != nil {
				t.Fatal(err)
			}
		}
		later := now.Add(2 * time.Minute)
		if _, err := s.OwnerOfSession(ctx, []byte("short"), later); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an expired session: got %v, want ErrNotFound", err)
		}
		if err := s.ExtendSession(ctx, []byte("long"), now.Add(3*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteExpiredSessions(ctx, now.Add(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		owner, err := s.OwnerOfSession(ctx, []byte("long"), now.Add(2*time.Hour))
		if err != nil || owner.ID != u.ID || owner.ExpiresAt != store.At(now.Add(3*time.Hour)) {
			t.Errorf("an extended session: got %+v, %v", owner, err)
		}
		if err := s.SetPassword(ctx, u.ID, "new"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.OwnerOfSession(ctx, []byte("long"), now); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a session after a new password: got %v, want ErrNotFound", err)
		}
	})
}

func TestTheUseOfAKeyIsNotedOnceForAllReplicas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		u := create(t, s, store.NewUser{User: newUser("user")})
		key, err := s.InsertKey(ctx, u.ID, store.Key{Hash: []byte{0, 1, 2}, Name: "key", Description: "laptop"})
		if err != nil {
			t.Fatal(err)
		}
		for _, used := range []time.Time{now, now.Add(-time.Hour)} { // a slow replica reports late
			if err := s.TouchKeys(ctx, map[store.ID]time.Time{key.ID: used, 42: used}); err != nil {
				t.Fatal(err)
			}
		}
		owner, err := s.OwnerOfKey(ctx, []byte{0, 1, 2})
		if err != nil || owner.KeyID != key.ID || owner.KeyLastUsedAt.Time() != now {
			t.Errorf("got key %d used %s (%v), want %d used %s", owner.KeyID, owner.KeyLastUsedAt.Time(), err, key.ID, now)
		}
		if err := s.DeleteKey(ctx, u.ID+1, key.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("delete somebody else's key: got %v, want ErrNotFound", err)
		}
		if err := s.DeleteKey(ctx, u.ID, key.ID); err != nil {
			t.Fatal(err)
		}
		if keys, err := s.KeysOf(ctx, u.ID); err != nil || len(keys) != 0 {
			t.Errorf("keys after deletion: %v, %v", keys, err)
		}
	})
}

func TestPagesOfUsers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var want []store.ID
		for i := range 5 {
			want = append(want, create(t, s, store.NewUser{User: newUser(fmt.Sprintf("user%d", i))}).ID)
		}
		var got []store.ID
		for after := store.ID(0); ; {
			page, err := s.Users(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, u := range page {
				got = append(got, u.ID)
			}
			after = page[len(page)-1].ID
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages hold %v, want %v", got, want)
		}
	})
}

func TestReplicasThatStartTogetherMigrateOnce(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, cfg store.Config) {
		const replicas = 4
		results := make([]error, replicas)
		var group sync.WaitGroup
		for i := range replicas {
			s, err := store.Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			group.Go(func() {
				if results[i] = s.Prepare(t.Context(), true); results[i] == nil {
					_, results[i] = s.Health(t.Context())
				}
			})
		}
		group.Wait()
		if err := errors.Join(results...); err != nil {
			t.Error(err)
		}
	})
}

func TestHealthSaysWhatIsMissing(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, cfg store.Config) {
		s, err := store.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		expect := func(sentence, reason string) {
			t.Helper()
			if _, err := s.Health(t.Context()); fault.Reason(err, "") != reason {
				t.Errorf("%s: got %v, want reason %q", sentence, err, reason)
			}
		}
		expect("before the database was reached", store.ReasonUnavailable)
		if err := s.Prepare(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		expect("before the migration", "MigrationPending")
		if err := s.Prepare(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		expect("prepared", "")
	})
}

func TestMySQLThatMayLoseAWriteIsNotReady(t *testing.T) {
	s := storetest.Open(t, storetest.MySQL(t))
	admin := mysql.Admin(t)
	set := func(value int) {
		t.Helper()
		ctx := context.WithoutCancel(t.Context())
		if _, err := admin.ExecContext(ctx, fmt.Sprintf("SET GLOBAL innodb_flush_log_at_trx_commit = %d", value)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { set(1) })
	for _, weak := range []int{0, 2} {
		set(weak)
		_, err := s.Health(t.Context())
		if fault.Reason(err, "") != "DatabaseNotDurable" || !strings.Contains(err.Error(), "innodb_flush_log_at_trx_commit") {
			t.Errorf("innodb_flush_log_at_trx_commit=%d: got %v", weak, err)
		}
	}
	set(1)
	if _, err := s.Health(t.Context()); err != nil {
		t.Errorf("after the setting was mended: %v", err)
	}
}

func TestADatabaseThatCannotBeReachedIsAFaultThatMayPass(t *testing.T) {
	s, err := store.Open(store.Config{MySQL: &store.MySQL{Host: "127.0.0.1", Port: 1, Database: "d", User: "u"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), true); fault.Reason(err, "") != store.ReasonUnavailable || !fault.Retryable(err) {
		t.Errorf("got %v, want a retryable fault", err)
	}
	if _, err := s.AnyUser(t.Context()); fault.Reason(err, "") != store.ReasonUnavailable {
		t.Errorf("got %v, want a fault", err)
	}
}

func TestMySQLGivesUpTheLocksOfAReplicaThatIsSilent(t *testing.T) {
	pool, _ := storetest.Open(t, storetest.MySQL(t)).Pools()
	var seconds int
	if err := pool.QueryRowContext(t.Context(), "SELECT @@SESSION.wait_timeout").Scan(&seconds); err != nil {
		t.Fatal(err)
	}
	if seconds < 60 || seconds > 90 {
		t.Errorf("MySQL waits for %d s for a replica that holds locks", seconds)
	}
}
