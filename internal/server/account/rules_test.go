package account_test

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
)

func TestCheckUsername(t *testing.T) {
	for sentence, c := range map[string]struct {
		username string
		ok       bool
	}{
		"a plain name":                {"ada", true},
		"capitals, digits and dashes": {"Ada-L_1815", true},
		"one character":               {"a", true},
		"a name that is also a key":   {"user_gw0-" + strings.Repeat("a1", 20), true},
		"as long as allowed":          {strings.Repeat("a", 128), true},
		"too long":                    {strings.Repeat("a", 129), false},
		"nothing":                     {"", false},
		"an email address":            {"ada@example.com", false},
		"a slash":                     {"a/b", false},
		"a dot":                       {"a.b", false},
		"a space at the end":          {"ada ", false},
		"a newline at the end":        {"ada\n", false},
		"a dash first":                {"-ada", false},
		"letters of another alphabet": {"аda", false},
		"a path of the server":        {"authorize", false},
		"a path in another case":      {"GraphQL", false},
	} {
		if err := account.CheckUsername(c.username); (err == nil) != c.ok {
			t.Errorf("%s: CheckUsername(%q) is %v", sentence, c.username, err)
		}
	}
}

func TestCheckEmail(t *testing.T) {
	for sentence, c := range map[string]struct {
		email string
		ok    bool
	}{
		"a plain address":         {"ada@example.com", true},
		"a plus and dots":         {"a.d.a+wandb@mail.example.co.uk", true},
		"a host without a dot":    {"admin@localhost", true},
		"nothing":                 {"", false},
		"no host":                 {"ada@", false},
		"no user":                 {"@example.com", false},
		"a name before it":        {"Ada <ada@example.com>", false},
		"brackets":                {"<ada@example.com>", false},
		"two addresses":           {"a@example.com, b@example.com", false},
		"a header injected":       {"ada@example.com\r\nBcc: x@example.com", false},
		"a space":                 {"ada @example.com", false},
		"a user that is too long": {strings.Repeat("a", 65) + "@example.com", false},
		"too long":                {"a@" + strings.Repeat("b", 260) + ".com", false},
	} {
		if err := account.CheckEmail(c.email); (err == nil) != c.ok {
			t.Errorf("%s: CheckEmail(%q) is %v", sentence, c.email, err)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	for sentence, c := range map[string]struct {
		password string
		ok       bool
	}{
		"a sentence":                    {"violet rocket 9", true},
		"ten characters":                {"vk3-Jd8!qz", true},
		"ten characters of two bytes":   {"äöüßéèêñçå", true},
		"nine characters":               {"vk3-Jd8!q", false},
		"nothing":                       {"", false},
		"the username":                  {"ada-lovelace", false},
		"the username in capitals":      {"ADA-LOVELACE", false},
		"the address":                   {"countess@example.com", false},
		"the first part of the address": {"COUNTESSES", true},
		"a known one":                   {"password123", false},
		"a known one in capitals":       {"Password123", false},
		"one character over and over":   {"aaaaaaaaaaaa", false},
		"a run of digits":               {"0123456789", false},
		"a run along the keyboard":      {"qwertyuiop", false},
		"an enormous one":               {strings.Repeat("violet ", 1000), false},
		"bytes that are no text":        {"\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff", false},
	} {
		err := account.CheckPassword(redact.Secret(c.password), "ada-lovelace", "countess@example.com")
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v", sentence, err)
		}
		if err != nil && len(c.password) > 3 && strings.Contains(err.Error(), c.password) {
			t.Errorf("%s: the error holds the password", sentence)
		}
	}
}

func TestCheckKey(t *testing.T) {
	hex := strings.Repeat("0a", 20)
	for sentence, c := range map[string]struct {
		key string
		ok  bool
	}{
		"forty hexadecimal digits":       {hex, true},
		"a prefix":                       {"local-" + hex, true},
		"the new form":                   {"wandb_v1_" + strings.Repeat("Ab_9", 20), true},
		"a user name with a key":         {"user_gw0-" + hex, true},
		"dashes in what follows":         {"local-" + strings.Repeat("a-b-", 10), true},
		"a prefix with a dot":            {"my.prefix-" + hex, true},
		"three parts of a token":         {"eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl", true},
		"a token that is short":          {"a.b.c", false},
		"39 characters":                  {hex[1:], false},
		"39 characters after the dash":   {"local-" + hex[1:], false},
		"39 characters, long prefix":     {strings.Repeat("p", 60) + "-" + hex[1:], false},
		"nothing":                        {"", false},
		"a space":                        {hex[:20] + " " + hex[20:], false},
		"a colon, which Basic splits at": {"a:b-" + hex, false},
		"letters beyond ASCII":           {strings.Repeat("ä", 40), false},
		"a newline at the end":           {hex + "\n", false},
		"longer than a header should be": {strings.Repeat("a", 1025), false},
	} {
		if err := account.CheckKey(redact.Secret(c.key)); (err == nil) != c.ok {
			t.Errorf("%s: got %v", sentence, err)
		}
	}
}

func FuzzCheckUsername(f *testing.F) {
	for _, seed := range []string{"ada", "", "a/b", "Ada-1", "ada\x00", "..", "%2e", strings.Repeat("a", 200), "graphql"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, username string) {
		if account.CheckUsername(username) != nil {
			return
		}
		if strings.ContainsAny(username, "/@.%?#\\ \x00\n\r\t\"'<>&:") || len(username) > 128 || username == "" {
			t.Errorf("%q is no safe part of an address", username)
		}
	})
}

func FuzzCheckEmail(f *testing.F) {
	for _, seed := range []string{"a@b.c", "", "a@b, c@d", "A <a@b>", "a@b\r\nX: y", `"a b"@c`, "ü@ü.de", "a@[127.0.0.1]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, email string) {
		if account.CheckEmail(email) != nil {
			return
		}
		if strings.ContainsAny(email, "\r\n\x00 \t") || !strings.Contains(email, "@") || len(email) > 254 {
			t.Errorf("%q was accepted", email)
		}
		if parsed, err := mail.ParseAddress(email); err != nil || parsed.Address != email {
			t.Errorf("%q is read as %v, %v", email, parsed, err)
		}
	})
}

func FuzzCheckKey(f *testing.F) {
	for _, seed := range []string{strings.Repeat("a", 40), "local-" + strings.Repeat("0", 40), "a.b.c", "", "-", "a:b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if account.CheckKey(redact.Secret(key)) != nil {
			return
		}
		if len(key) < 40 || len(key) > 1024 || strings.ContainsAny(key, ": \r\n\t\x00") {
			t.Errorf("%q was accepted", key)
		}
	})
}
