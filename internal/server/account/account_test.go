package account_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

const goodPassword = redact.Secret("violet rocket 9")

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// each runs a test with accounts in a database of each kind.
func each(t *testing.T, test func(t *testing.T, accounts *account.Service, now *clock)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		now := newClock()
		test(t, account.New(s, account.Config{Now: now.Now, Logger: slog.New(slog.DiscardHandler)}), now)
	})
}

func create(t *testing.T, accounts *account.Service, name string) account.User {
	t.Helper()
	u, err := accounts.CreateUser(t.Context(), account.NewUser{Username: name, Email: name + "@example.com", Password: goodPassword})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return u
}

func expectReason(t *testing.T, sentence string, err error, reason string) {
	t.Helper()
	if fault.Reason(err, "") != reason {
		t.Errorf("%s: got %v, want reason %q", sentence, err, reason)
	}
}

func TestOfManySetupsOneMakesTheAdministrator(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		if needs, err := accounts.NeedsSetup(t.Context()); err != nil || !needs {
			t.Fatalf("an empty server: NeedsSetup is %v, %v", needs, err)
		}
		const tries = 4
		results := make([]error, tries)
		var group sync.WaitGroup
		for i := range tries {
			group.Go(func() {
				_, _, results[i] = accounts.Setup(t.Context(), account.NewUser{
					Username: fmt.Sprintf("admin%d", i), Email: fmt.Sprintf("admin%d@example.com", i), Password: goodPassword,
				})
			})
		}
		group.Wait()
		var winners []int
		for i, err := range results {
			if err == nil {
				winners = append(winners, i)
				continue
			}
			expectReason(t, "a setup that lost", err, account.ReasonSetupDone)
		}
		if len(winners) != 1 {
			t.Fatalf("%d setups won, want 1", len(winners))
		}
		user, err := accounts.UserByUsername(t.Context(), fmt.Sprintf("ADMIN%d", winners[0]))
		if err != nil || !user.Admin {
			t.Errorf("the winner is %+v, %v", user, err)
		}
	})
}

func TestSignIn(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		ctx := t.Context()
		create(t, accounts, "Ada")
		for sentence, login := range map[string]string{
			"by username":               "Ada",
			"by username in lower case": "ada",
			"by email":                  "Ada@example.com",
			"by email in other case":    "ADA@EXAMPLE.COM",
			"with spaces around":        " ada ",
		} {
			user, session, err := accounts.SignIn(ctx, login, goodPassword, "192.0.2.1")
			if err != nil || user.Username != "Ada" {
				t.Errorf("%s: got %+v, %v", sentence, user, err)
				continue
			}
			if again, err := accounts.BySession(ctx, session.Token); err != nil || again.ID != user.ID {
				t.Errorf("%s: the session belongs to %+v, %v", sentence, again, err)
			}
			if err := accounts.SignOut(ctx, session.Token); err != nil {
				t.Fatal(err)
			}
			_, err = accounts.BySession(ctx, session.Token)
			expectReason(t, sentence+", signed out", err, account.ReasonRefused)
		}
		for sentence, try := range map[string][2]string{
			"a wrong password":       {"ada", "violet rocket 8"},
			"no password":            {"ada", ""},
			"an unknown user":        {"nobody", string(goodPassword)},
			"no user":                {"", string(goodPassword)},
			"an unknown address":     {"nobody@example.com", string(goodPassword)},
			"a huge password":        {"ada", strings.Repeat("x", 1<<20)},
			"bytes that are no text": {"\xff\xfe", "\xff"},
		} {
			_, _, err := accounts.SignIn(ctx, try[0], redact.Secret(try[1]), "192.0.2.2")
			expectReason(t, sentence, err, account.ReasonRefused)
		}
	})
}

func TestAUserWithoutPasswordCannotSignIn(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		_, err := accounts.CreateUser(t.Context(), account.NewUser{Username: "robot", Email: "robot@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		for _, password := range []redact.Secret{"", goodPassword} {
			_, _, err = accounts.SignIn(t.Context(), "robot", password, "192.0.2.1")
			expectReason(t, "sign in", err, account.ReasonRefused)
		}
	})
}

func TestGuessingIsSlowedDown(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, now *clock) {
		ctx := t.Context()
		create(t, accounts, "ada")
		guess := func(login, address string) error {
			_, _, err := accounts.SignIn(ctx, login, "wrong password", address)
			return err
		}
		for i := range 10 {
			expectReason(t, fmt.Sprintf("guess %d", i), guess("ada", fmt.Sprintf("192.0.2.%d", i)), account.ReasonRefused)
		}
		err := guess("ADA", "198.51.100.1")
		var many *account.TooManyError
		if !errors.As(err, &many) || many.RetryAfter <= 0 || many.RetryAfter > time.Minute || many.Seconds() == "0" {
			t.Fatalf("the eleventh guess from yet another address: got %v", err)
		}
		_, _, err = accounts.SignIn(ctx, "ada", goodPassword, "198.51.100.1")
		expectReason(t, "the right password meanwhile", err, account.ReasonTooMany)
		now.advance(many.RetryAfter)
		if _, _, err := accounts.SignIn(ctx, "ada", goodPassword, "198.51.100.1"); err != nil {
			t.Errorf("after Retry-After: %v", err)
		}
		expectReason(t, "a guess after a right password", guess("ada", "198.51.100.1"), account.ReasonRefused)
	})
}

func TestAnAddressThatTriesManyAccountsIsSlowedDown(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	now := newClock()
	accounts := account.New(s, account.Config{Now: now.Now})
	var err error
	for i := 0; i < 60 && fault.Reason(err, "") != account.ReasonTooMany; i++ {
		_, _, err = accounts.SignIn(t.Context(), fmt.Sprintf("user%d", i), "wrong password", "192.0.2.1")
	}
	expectReason(t, "sixty accounts", err, account.ReasonTooMany)
	_, _, err = accounts.SignIn(t.Context(), "user0", "wrong password", "192.0.2.2")
	expectReason(t, "another address", err, account.ReasonRefused)
}

func TestSessionsSlideAndEnd(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, now *clock) {
		ctx := t.Context()
		create(t, accounts, "ada")
		_, session, err := accounts.SignIn(ctx, "ada", goodPassword, "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		if _, renewed, err := accounts.KeepSession(ctx, session.Token); err != nil || renewed != nil {
			t.Errorf("at once: renewed %v, %v; want no write", renewed, err)
		}
		for range 3 {
			now.advance(account.DefaultSessionLength / 2)
			_, renewed, err := accounts.KeepSession(ctx, session.Token)
			if err != nil || renewed == nil || !renewed.ExpiresAt.Equal(now.Now().Add(account.DefaultSessionLength)) {
				t.Fatalf("after half its life: renewed %+v, %v", renewed, err)
			}
		}
		now.advance(account.DefaultSessionLength)
		_, _, err = accounts.KeepSession(ctx, session.Token)
		expectReason(t, "unused for its whole life", err, account.ReasonRefused)
	})
}

func TestKeys(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, now *clock) {
		ctx := t.Context()
		ada, bob := create(t, accounts, "ada"), create(t, accounts, "bob")
		key, secret, err := accounts.CreateKey(ctx, ada, "laptop")
		if err != nil {
			t.Fatal(err)
		}
		if len(secret.Reveal()) != 40 || strings.Trim(secret.Reveal(), "0123456789abcdef") != "" || key.Name != secret.Reveal()[:8] {
			t.Errorf("made key %q, named %q", secret.Reveal(), key.Name)
		}
		if owner, err := accounts.ByKey(ctx, secret); err != nil || owner.ID != ada.ID {
			t.Errorf("the key belongs to %+v, %v", owner, err)
		}
		accounts.FlushUsage(ctx)
		keys, err := accounts.Keys(ctx, ada)
		if err != nil || len(keys) != 1 || !keys[0].LastUsedAt.Equal(now.Now()) || keys[0].Description != "laptop" {
			t.Errorf("keys are %+v, %v", keys, err)
		}
		expectReason(t, "revoke somebody else's key", accounts.RevokeKey(ctx, bob, key.ID), account.ReasonNotFound)
		_, err = accounts.AddKey(ctx, bob, secret, "")
		expectReason(t, "a key that somebody has", err, account.ReasonTaken)
		if err := accounts.RevokeKey(ctx, ada, key.ID); err != nil {
			t.Fatal(err)
		}
		_, err = accounts.ByKey(ctx, secret)
		expectReason(t, "a revoked key", err, account.ReasonRefused)
		for _, unknown := range []redact.Secret{"", "x", redact.Secret(strings.Repeat("0", 40)), redact.Secret(strings.Repeat("x", 1<<16))} {
			_, err = accounts.ByKey(ctx, unknown)
			expectReason(t, "an unknown key", err, account.ReasonRefused)
		}
	})
}

func TestTheUseOfAKeyIsWrittenAtMostOnceAMinute(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, now *clock) {
		ctx := t.Context()
		ada := create(t, accounts, "ada")
		_, secret, err := accounts.CreateKey(ctx, ada, "")
		if err != nil {
			t.Fatal(err)
		}
		use := func() time.Time {
			t.Helper()
			if _, err := accounts.ByKey(ctx, secret); err != nil {
				t.Fatal(err)
			}
			accounts.FlushUsage(ctx)
			keys, err := accounts.Keys(ctx, ada)
			if err != nil || len(keys) != 1 {
				t.Fatalf("keys are %+v, %v", keys, err)
			}
			return keys[0].LastUsedAt
		}
		first := use()
		now.advance(59 * time.Second)
		if got := use(); !got.Equal(first) {
			t.Errorf("after 59 s: %s, want %s as before", got, first)
		}
		now.advance(time.Second)
		if got := use(); !got.Equal(now.Now()) {
			t.Errorf("after a minute: %s, want %s", got, now.Now())
		}
	})
}

func TestTakenNamesAreNamed(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		ctx := t.Context()
		key := redact.Secret(strings.Repeat("k", 40))
		ada, err := accounts.CreateUser(ctx, account.NewUser{Username: "ada", Email: "ada@example.com", APIKey: key})
		if err != nil {
			t.Fatal(err)
		}
		for field, n := range map[string]account.NewUser{
			"username": {Username: "ADA", Email: "other@example.com"},
			"email":    {Username: "other", Email: "Ada@Example.com"},
			"key":      {Username: "another", Email: "another@example.com", APIKey: key},
		} {
			_, err := accounts.CreateUser(ctx, n)
			expectReason(t, field, err, account.ReasonTaken)
			var wrong *account.FieldError
			if !errors.As(err, &wrong) || wrong.Field != field {
				t.Errorf("%s: got %v", field, err)
			}
		}
		if err := accounts.DeleteUser(ctx, ada, false); err != nil {
			t.Fatal(err)
		}
		_, err = accounts.ByKey(ctx, key)
		expectReason(t, "the key of a deleted user", err, account.ReasonRefused)
		_, err = accounts.UserByUsername(ctx, "ada")
		expectReason(t, "a deleted user", err, account.ReasonNotFound)
		_, err = accounts.CreateUser(ctx, account.NewUser{Username: "ada", Email: "new@example.com"})
		expectReason(t, "the username of a deleted user", err, account.ReasonTaken)
		if _, err := accounts.CreateUser(ctx, account.NewUser{Username: "ada2", Email: "ada@example.com"}); err != nil {
			t.Errorf("the address of a deleted user: %v", err)
		}
	})
}

func TestANewPasswordEndsSessions(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		ctx := t.Context()
		ada := create(t, accounts, "ada")
		_, session, err := accounts.SignIn(ctx, "ada", goodPassword, "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		next := account.NewPassword()
		if err := accounts.SetPassword(ctx, ada, next); err != nil {
			t.Fatal(err)
		}
		_, err = accounts.BySession(ctx, session.Token)
		expectReason(t, "the old session", err, account.ReasonRefused)
		_, _, err = accounts.SignIn(ctx, "ada", goodPassword, "192.0.2.1")
		expectReason(t, "the old password", err, account.ReasonRefused)
		if _, _, err := accounts.SignIn(ctx, "ada", next, "192.0.2.1"); err != nil {
			t.Errorf("the new password: %v", err)
		}
		expectReason(t, "a weak password", accounts.SetPassword(ctx, ada, "short"), account.ReasonInvalid)
	})
}

func TestEveryUserHasAPersonalEntity(t *testing.T) {
	each(t, func(t *testing.T, accounts *account.Service, _ *clock) {
		ada := create(t, accounts, "Ada")
		teams, err := accounts.EntitiesOf(t.Context(), ada)
		if err != nil || len(teams) != 1 || teams[0].Name != "Ada" || ada.Entity() != "Ada" {
			t.Errorf("teams are %+v, %v; entity is %q", teams, err, ada.Entity())
		}
	})
}

// A check for a user that does not exist must cost as much as one for a user that does: both compute one hash.
func TestAnUnknownUserCostsAsMuchAsAKnownOne(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	now := newClock()
	accounts := account.New(s, account.Config{Now: now.Now})
	create(t, accounts, "ada")
	cost := func(login string) time.Duration {
		best := time.Hour
		for range 7 {
			now.advance(time.Hour) // no limit
			before := spent(t)
			_, _, err := accounts.SignIn(t.Context(), login, "wrong password", "192.0.2.1")
			best = min(best, spent(t)-before)
			expectReason(t, login, err, account.ReasonRefused)
		}
		return best
	}
	known, unknown := cost("ada"), cost("nobody")
	if unknown < known/2 || known < unknown/2 {
		t.Errorf("a known user costs %s, an unknown one %s", known, unknown)
	}
}

// spent is the processor time of this process so far, which does not depend on what else the machine does.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func TestWaitingForATurnToHashEndsWithTheRequest(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	accounts := account.New(s, account.Config{})
	create(t, accounts, "ada")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := accounts.SignIn(ctx, "ada", goodPassword, "192.0.2.1"); err == nil {
		t.Error("a cancelled request signs in")
	}
}
