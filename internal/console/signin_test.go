package console

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSignIn(t *testing.T) {
	console := startConsole(t, newCluster(t), nil)
	tests := map[string]struct {
		body   any
		header map[string]string
		status int
		// signedIn tells whether the browser is known afterwards.
		signedIn bool
	}{
		"with the password of the Secret":   {body: map[string]string{"password": testPassword}, status: http.StatusOK, signedIn: true},
		"with another password":             {body: map[string]string{"password": "wrong"}, status: http.StatusUnauthorized},
		"with a beginning of the password":  {body: map[string]string{"password": testPassword[:8]}, status: http.StatusUnauthorized},
		"with the password and more":        {body: map[string]string{"password": testPassword + " "}, status: http.StatusUnauthorized},
		"with no password":                  {body: map[string]string{}, status: http.StatusUnauthorized},
		"with an empty password":            {body: map[string]string{"password": ""}, status: http.StatusUnauthorized},
		"with the password in another type": {body: map[string]any{"password": []string{testPassword}}, status: http.StatusBadRequest},
		"with fields that nobody knows":     {body: map[string]string{"password": testPassword, "user": "x"}, status: http.StatusBadRequest},
		"with more than a password takes":   {body: map[string]string{"password": strings.Repeat("x", signInBody)}, status: http.StatusRequestEntityTooLarge},
		"as a form of another site": {
			body: map[string]string{"password": testPassword}, status: http.StatusUnsupportedMediaType,
			header: map[string]string{"Content-Type": "text/plain"},
		},
	}
	address := 0
	for name, test := range tests {
		address++
		from := "203.0.113." + strconv.Itoa(address) // so that attempts of one case are no other's
		t.Run(name, func(t *testing.T) {
			b := console.browser(t)
			b.header.Set("X-Forwarded-For", from)
			for key, value := range test.header {
				b.header.Set(key, value)
			}
			got := b.send(http.MethodPost, "/session", test.body)
			if got.status != test.status {
				t.Errorf("status %d, want %d: %s", got.status, test.status, got.body)
			}
			if signedIn := b.user() != nil; signedIn != test.signedIn {
				t.Errorf("signed in: %v, want %v", signedIn, test.signedIn)
			}
			if strings.Contains(got.body, testPassword) {
				t.Errorf("the answer repeats the password: %s", got.body)
			}
		})
	}
}

func TestSessionCookie(t *testing.T) {
	c := newCluster(t)
	for host, secure := range map[string]bool{"https://wandb.example.com": true, "http://wandb.example.com": false, "": false} {
		t.Run("of "+host, func(t *testing.T) {
			console := startConsole(t, c, func(cfg *Config) { cfg.Host = host })
			got := console.browser(t).signIn(testPassword)
			var cookie *http.Cookie
			for _, set := range (&http.Response{Header: got.header}).Cookies() {
				if set.Name == "wandb_console_session" {
					cookie = set
				}
			}
			if cookie == nil {
				t.Fatalf("no session cookie in %v", got.header)
			}
			if cookie.Secure != secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/console" || cookie.MaxAge != 12*60*60 {
				t.Errorf("cookie %v, want Secure=%v; HttpOnly; SameSite=Strict; Path=/console; Max-Age=43200", cookie, secure)
			}
			if found := containsAny(cookie.Value, testPassword, "canary"); found != "" {
				t.Errorf("the cookie holds %s", found)
			}
		})
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	console := startConsole(t, newCluster(t), nil)
	attacker := console.browser(t)
	attacker.header.Set("X-Forwarded-For", "198.51.100.7")
	for n := range addressBurst {
		if got := attacker.signIn("guess"); got.status != http.StatusUnauthorized {
			t.Fatalf("attempt %d: %d %s", n+1, got.status, got.body)
		}
	}
	got := attacker.signIn(testPassword)
	if got.status != http.StatusTooManyRequests {
		t.Fatalf("after %d failures: %d, want 429 even with the right password", addressBurst, got.status)
	}
	if seconds, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 12 {
		t.Errorf("Retry-After %q, want 1 to 12 seconds", got.header.Get("Retry-After"))
	}
	neighbour := console.browser(t)
	neighbour.header.Set("X-Forwarded-For", "198.51.100.8")
	if got := neighbour.signIn(testPassword); got.status != http.StatusOK {
		t.Errorf("another address is shut out too: %d %s", got.status, got.body)
	}
	forger := console.browser(t)
	forger.header.Set("X-Forwarded-For", "192.0.2.1, 198.51.100.7") // the left part is what a client can write itself
	if got := forger.signIn("guess"); got.status != http.StatusTooManyRequests {
		t.Errorf("a made-up X-Forwarded-For escapes the limit: %d", got.status)
	}
}

func TestSessionEnds(t *testing.T) {
	tests := map[string]struct {
		change func(t *testing.T, c *cluster, k *clock, b *browser)
		// user is whoever is signed in afterwards.
		signedIn bool
	}{
		"not by itself": {change: func(*testing.T, *cluster, *clock, *browser) {}, signedIn: true},
		"after twelve hours": {change: func(_ *testing.T, _ *cluster, k *clock, _ *browser) {
			k.advance(sessionLifetime + time.Minute)
		}},
		"not before": {change: func(_ *testing.T, _ *cluster, k *clock, _ *browser) {
			k.advance(sessionLifetime - time.Minute)
		}, signedIn: true},
		"with a new password": {change: func(t *testing.T, c *cluster, k *clock, _ *browser) {
			c.writeSecret(t, "wandb-password", map[string]string{"password": "another"})
			k.advance(credentialsMemory)
		}},
		"with new session keys": {change: func(t *testing.T, c *cluster, k *clock, _ *browser) {
			c.writeSecret(t, "wandb-session-keys", map[string]string{"console": "bmV3IHNlc3Npb24ga2V5cyBvZiB0aGlydHktdHdvIGJ5dGVzIG9yIG1vcmU="})
			k.advance(credentialsMemory)
		}},
		"by signing out": {change: func(t *testing.T, _ *cluster, _ *clock, b *browser) {
			if got := b.send(http.MethodDelete, "/session", nil); got.status != http.StatusNoContent {
				t.Errorf("sign out: %d %s", got.status, got.body)
			}
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, k := newCluster(t), &clock{}
			console := startConsole(t, c, func(cfg *Config) { cfg.now = k.now })
			b := console.signedIn(t)
			test.change(t, c, k, b)
			if signedIn := b.user() != nil; signedIn != test.signedIn {
				t.Errorf("signed in: %v, want %v", signedIn, test.signedIn)
			}
			want := http.StatusUnauthorized
			if test.signedIn {
				want = http.StatusOK
			}
			if got := b.get("/overview"); got.status != want {
				t.Errorf("overview: %d, want %d: %s", got.status, want, got.body)
			}
		})
	}
}

func TestNewPasswordIsTakenAtOnce(t *testing.T) {
	c := newCluster(t)
	console := startConsole(t, c, nil)
	c.writeSecret(t, "wandb-password", map[string]string{"password": "rotated"})
	b := console.browser(t)
	if got := b.signIn(testPassword); got.status != http.StatusUnauthorized {
		t.Errorf("the old password: %d, want 401", got.status)
	}
	if got := b.signIn("rotated"); got.status != http.StatusOK {
		t.Errorf("the new password: %d %s", got.status, got.body)
	}
	if who := b.user(); who == nil || who.Method != methodPassword {
		t.Errorf("signed in as %+v", who)
	}
}

func TestForgedSessionsAreRefused(t *testing.T) {
	c := newCluster(t)
	console := startConsole(t, c, nil)
	keys := keyring{password: testPassword, sessionKey: []byte("another key of thirty-two bytes!")}
	foreign, err := tokens{audience: c.namespace + "/wandb", now: time.Now}.issue(keys)
	must(t, err)
	right, err := sessionKey([]byte(testKey))
	must(t, err)
	otherInstance, err := tokens{audience: c.namespace + "/other", now: time.Now}.issue(keyring{password: testPassword, sessionKey: right})
	must(t, err)
	for name, token := range map[string]string{
		"signed with another key":      foreign,
		"of another installation":      otherInstance,
		"not signed at all":            "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZG1pbmlzdHJhdG9yIn0.",
		"no token":                     "administrator",
		"as long as a header may be":   strings.Repeat("A", 16<<10),
		"the password, as it once was": testPassword,
	} {
		t.Run(name, func(t *testing.T) {
			b := console.browser(t)
			b.header.Set("Cookie", sessionCookie+"="+token)
			if got := b.get("/overview"); got.status != http.StatusUnauthorized {
				t.Errorf("status %d, want 401: %s", got.status, got.body)
			}
		})
	}
}

func TestSignInWithoutTheSecretSaysWhatIsMissing(t *testing.T) {
	c := newCluster(t)
	console := startConsole(t, c, nil)
	must(t, c.admin.CoreV1().Secrets(c.namespace).Delete(t.Context(), "wandb-password", metav1.DeleteOptions{}))
	got := console.browser(t).signIn(testPassword)
	var p problem
	got.into(t, &p)
	if got.status != http.StatusServiceUnavailable || !strings.Contains(p.Message, "wandb-password") || !strings.Contains(p.Hint, "wandb-operator") {
		t.Errorf("%d %+v, want 503 naming the Secret and where the operator runs", got.status, p)
	}
}

func TestSessionDescribesTheInstallation(t *testing.T) {
	c := newCluster(t)
	console := startConsole(t, c, func(cfg *Config) {
		cfg.Host = "https://wandb.example.com"
		cfg.Banners = []byte(`[{"text":"Maintenance on Sunday"}]`)
	})
	got := console.browser(t).get("/session")
	var session sessionAnswer
	got.into(t, &session)
	if session.User != nil || session.Instance != "wandb" || session.Namespace != c.namespace || session.Application != "https://wandb.example.com" || session.Version == "" {
		t.Errorf("session %+v", session)
	}
	if !strings.Contains(got.body, `"user":null`) || !strings.Contains(got.body, "Maintenance on Sunday") {
		t.Errorf("body %s, want user null and the banners", got.body)
	}
}
