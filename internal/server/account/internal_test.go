package account

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/storetest"
)

func TestMemoryOfAttemptsIsBounded(t *testing.T) {
	a := newAttempts(time.Now)
	for i := range 3 * maxBuckets {
		a.take(fmt.Sprintf("user%d", i), fmt.Sprintf("address%d", i))
	}
	if len(a.buckets) > maxBuckets || a.recent.Len() != len(a.buckets) {
		t.Errorf("%d buckets, %d in order, want at most %d", len(a.buckets), a.recent.Len(), maxBuckets)
	}
	for range int(perAccount.burst) {
		if wait := a.take("guessed", "somewhere"); wait > 0 {
			t.Fatalf("a new account waits %s", wait)
		}
	}
	if wait := a.take("guessed", "elsewhere"); wait <= 0 || wait > perAccount.refill {
		t.Errorf("an exhausted account waits %s", wait)
	}
}

func TestAHashOfAnotherCostIsRenewedAtSignIn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const password = "violet rocket 9"
		salt := []byte("0123456789abcdef")
		old := strings.Replace(encodeHash(salt, argon2.IDKey([]byte(password), salt, 1, 8*1024, 1, argonKey)),
			fmt.Sprintf("m=%d,t=%d", argonMemory, argonTime), "m=8192,t=1", 1)
		row := store.User{Username: "ada", UsernameKey: "ada", Email: "a@b", EmailKey: "a@b", Name: "Ada", PasswordHash: store.Text(old)}
		if _, err := s.CreateUser(t.Context(), store.NewUser{User: row}); err != nil {
			t.Fatal(err)
		}
		accounts := New(s, Config{})
		for _, sentence := range []string{"with the old hash", "with the new hash"} {
			if _, _, err := accounts.SignIn(t.Context(), "ada", password, "192.0.2.1"); err != nil {
				t.Fatalf("%s: %v", sentence, err)
			}
		}
		got, err := s.UserByUsername(t.Context(), "ada")
		if err != nil || string(got.PasswordHash) == old || !strings.Contains(string(got.PasswordHash), fmt.Sprintf("m=%d,t=%d", argonMemory, argonTime)) {
			t.Errorf("the hash is now %s, %v", got.PasswordHash, err)
		}
	})
}

func TestADamagedHashIsAnError(t *testing.T) {
	h := newHasher()
	good := encodeHash(make([]byte, 16), make([]byte, 32))
	for sentence, hash := range map[string]string{
		"another kind":    "$2a$10$abcdefghijklmnopqrstuv",
		"another version": strings.Replace(good, "v=19", "v=16", 1),
		"all memory":      strings.Replace(good, fmt.Sprintf("m=%d", argonMemory), "m=4294967295", 1),
		"no rounds":       strings.Replace(good, fmt.Sprintf("t=%d", argonTime), "t=0", 1),
		"no threads":      strings.Replace(good, "p=1", "p=0", 1),
		"cut off":         good[:len(good)-30],
		"no salt":         "$argon2id$v=19$m=19456,t=2,p=1$$" + strings.Repeat("A", 43),
	} {
		if ok, _, err := h.verify(t.Context(), hash, redact.Secret("x")); err == nil || ok {
			t.Errorf("%s: got %v, %v", sentence, ok, err)
		}
	}
}

func FuzzDecodeHash(f *testing.F) {
	f.Add(encodeHash(make([]byte, 16), make([]byte, 32)))
	f.Add("$argon2id$v=19$m=1,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=99999999999999999999,t=1,p=300$$")
	f.Add("")
	f.Fuzz(func(t *testing.T, hash string) {
		d, err := decodeHash(hash)
		if err != nil {
			return
		}
		if d.memory > argonMaxMemory || d.time < 1 || d.time > argonMaxTime || d.threads < 1 || len(d.salt) == 0 || len(d.key) < 16 {
			t.Errorf("%q gives %+v", hash, d)
		}
	})
}
