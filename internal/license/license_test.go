package license_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/redact"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newKey(t testing.TB) license.SigningKey {
	t.Helper()
	key, err := license.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newClaims() license.Claims {
	return license.Claims{
		Issuer: "https://deploy.example.com", Customer: "acme", ID: "lic-1", IssuedAt: now, ExpiresAt: now.Add(time.Hour),
		Channel: "beta", Entitlements: license.Entitlements{"seats": int64(9007199254740993), "sso": true, "tier": "gold"},
	}
}

func issue(t testing.TB, claims license.Claims, key license.SigningKey) redact.Secret {
	t.Helper()
	token, err := license.Issue(claims, key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestVerifyReturnsWhatWasIssued(t *testing.T) {
	key := newKey(t)
	claims, err := license.Verify(issue(t, newClaims(), key), license.NewKeySet(newKey(t), key), now)
	if err != nil {
		t.Fatal(err)
	}
	want := newClaims()
	if diff := cmp.Diff(&want, claims); diff != "" {
		t.Errorf("claims differ (-issued +verified):\n%s", diff)
	}
	if limit, ok := claims.Entitlements.Limit("seats"); !ok || limit != 9007199254740993 {
		t.Errorf("Limit(seats) = %d, %v: a large whole number must stay exact", limit, ok)
	}
	if !claims.Entitlements.Enabled("sso") || claims.Entitlements.Enabled("audit") || claims.Entitlements.Text("tier") != "gold" {
		t.Errorf("entitlements read wrong: %v", claims.Entitlements)
	}
}

func TestVerifyNamesWhyATokenIsRefused(t *testing.T) {
	key, other := newKey(t), newKey(t)
	keys := license.NewKeySet(key)
	good := issue(t, newClaims(), key)
	parts := strings.Split(good.Reveal(), ".")
	signed := func(method jwt.SigningMethod, kid string, claims jwt.Claims, with any) redact.Secret {
		token := jwt.NewWithClaims(method, claims)
		if kid != "" {
			token.Header["kid"] = kid
		}
		text, err := token.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return redact.Secret(text)
	}
	forged := newClaims()
	forged.Channel = "nightly"

	cases := map[string]struct {
		token redact.Secret
		at    time.Time
		// want is the reason of the fault, "" where the token is good.
		want string
	}{
		"a good token":                          {token: good, at: now},
		"expired, within the leeway":            {token: good, at: now.Add(time.Hour + 59*time.Second)},
		"expired, beyond the leeway":            {token: good, at: now.Add(time.Hour + 61*time.Second), want: license.ReasonExpired},
		"clock an hour behind the issuer":       {token: good, at: now.Add(-time.Hour)},
		"empty":                                 {token: "", at: now, want: license.ReasonMalformed},
		"no token at all":                       {token: "hunter2", at: now, want: license.ReasonMalformed},
		"cut in the middle of the payload":      {token: good[:len(parts[0])+20], at: now, want: license.ReasonMalformed},
		"signature cut short":                   {token: good[:len(good)-4], at: now, want: license.ReasonSignatureInvalid},
		"no signature":                          {token: redact.Secret(parts[0] + "." + parts[1] + "."), at: now, want: license.ReasonSignatureInvalid},
		"beyond the size that is read":          {token: redact.Secret(strings.Repeat("a.", 20<<10)), at: now, want: license.ReasonMalformed},
		"signed by a key outside the set":       {token: issue(t, newClaims(), other), at: now, want: license.ReasonIssuerUnknown},
		"payload of another token":              {token: redact.Secret(parts[0] + "." + strings.Split(issue(t, forged, key).Reveal(), ".")[1] + "." + parts[2]), at: now, want: license.ReasonSignatureInvalid},
		"HMAC with the public key as secret":    {token: signed(jwt.SigningMethodHS256, key.ID(), jwt.MapClaims{"sub": "acme"}, []byte(key.Public())), at: now, want: license.ReasonSignatureInvalid},
		"algorithm none":                        {token: signed(jwt.SigningMethodNone, key.ID(), jwt.MapClaims{"sub": "acme"}, jwt.UnsafeAllowNoneSignatureType), at: now, want: license.ReasonSignatureInvalid},
		"another vendor, odd claims, no key ID": {token: signed(jwt.SigningMethodHS256, "", jwt.MapClaims{"exp": "soon", "channel": 7}, []byte("theirs")), at: now, want: license.ReasonIssuerUnknown},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claims, err := license.Verify(tc.token, keys, tc.at)
			if got := fault.Reason(err, ""); got != tc.want {
				t.Fatalf("reason = %q (%v), want %q", got, err, tc.want)
			}
			if (claims == nil) != (tc.want != "") {
				t.Errorf("claims = %v beside reason %q", claims, tc.want)
			}
			if tc.want != "" && fault.Hint(err) == "" {
				t.Error("the fault has no hint")
			}
			if err != nil && len(tc.token) > 20 && strings.Contains(fault.Message(err), tc.token.Reveal()[:20]) {
				t.Error("the message shows the token")
			}
		})
	}
}

func TestVerifyRefusesASignedTokenThatLacksWhatALicenceHas(t *testing.T) {
	key := newKey(t)
	full := map[string]any{"sub": "acme", "jti": "lic-1", "exp": now.Add(time.Hour).Unix()}
	for _, missing := range []string{"sub", "jti", "exp"} {
		t.Run(missing, func(t *testing.T) {
			claims := jwt.MapClaims{}
			for name, value := range full {
				if name != missing {
					claims[name] = value
				}
			}
			text := signRaw(t, key, claims)
			if _, err := license.Verify(text, license.NewKeySet(key), now); fault.Reason(err, "") != license.ReasonMalformed {
				t.Errorf("without %s: %v, want Malformed", missing, err)
			}
		})
	}
	notYet := jwt.MapClaims{"sub": "acme", "jti": "lic-1", "exp": now.Add(2 * time.Hour).Unix(), "nbf": now.Add(time.Hour).Unix()}
	if _, err := license.Verify(signRaw(t, key, notYet), license.NewKeySet(key), now); fault.Reason(err, "") != license.ReasonNotYetValid {
		t.Errorf("before its beginning: %v, want NotYetValid", err)
	}
}

func TestANilKeySetKnowsNobodyAndPeekStillReads(t *testing.T) {
	token := issue(t, newClaims(), newKey(t))
	if _, err := license.Verify(token, nil, now); fault.Reason(err, "") != license.ReasonIssuerUnknown {
		t.Fatalf("Verify = %v, want IssuerUnknown", err)
	}
	claims, err := license.Peek(token)
	if err != nil {
		t.Fatal(err)
	}
	if claims.ChannelOrDefault() != "beta" || !claims.ExpiresAt.Equal(now.Add(time.Hour)) {
		t.Errorf("Peek = %+v", claims)
	}
	if (*license.Claims)(nil).ChannelOrDefault() != license.DefaultChannel {
		t.Error("no licence must mean the default channel")
	}
}

func TestIssueRefusesIncompleteClaims(t *testing.T) {
	key := newKey(t)
	for name, change := range map[string]func(*license.Claims){
		"no customer": func(c *license.Claims) { c.Customer = "" },
		"no ID":       func(c *license.Claims) { c.ID = "" },
		"no expiry":   func(c *license.Claims) { c.ExpiresAt = time.Time{} },
		"too large":   func(c *license.Claims) { c.Entitlements["x"] = strings.Repeat("x", 17<<10) },
	} {
		claims := newClaims()
		change(&claims)
		if token, err := license.Issue(claims, key); err == nil || token != "" {
			t.Errorf("%s: Issue = %q, %v, want an error", name, token.Reveal(), err)
		}
	}
	if _, err := license.Issue(newClaims(), license.SigningKey{}); err == nil {
		t.Error("the zero key signs")
	}
}

func TestKeysSurviveTheirFiles(t *testing.T) {
	key := newKey(t)
	text, err := key.PEM()
	if err != nil {
		t.Fatal(err)
	}
	read, err := license.ParseSigningKey(text)
	if err != nil {
		t.Fatal(err)
	}
	document, err := license.NewKeySet(key).JWKS()
	if err != nil {
		t.Fatal(err)
	}
	set, err := license.ParseJWKS(document)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := license.Verify(issue(t, newClaims(), read), set, now); err != nil {
		t.Errorf("a token of the key read back does not verify against the JWKS read back: %v", err)
	}
	if strings.Contains(fmt.Sprintf("%v %+v", text, struct{ K redact.Secret }{text}), "PRIVATE") {
		t.Error("the private key prints itself")
	}
}

func TestParseJWKSTakesOnlyWhatItCanUse(t *testing.T) {
	x := base64.RawURLEncoding.EncodeToString(newKey(t).Public())
	cases := map[string]struct {
		document string
		// keys is how many are usable; 0 means that the document is refused.
		keys int
	}{
		"RSA beside Ed25519":    {`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"OKP","crv":"Ed25519","x":"` + x + `","kid":"a"}]}`, 1},
		"no kid":                {`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + x + `"}]}`, 1},
		"for encryption":        {`{"keys":[{"kty":"OKP","crv":"Ed25519","use":"enc","x":"` + x + `"}]}`, 0},
		"only RSA":              {`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, 0},
		"empty":                 {`{}`, 0},
		"key too short":         {`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}`, 0},
		"the same name twice":   {`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + x + `","kid":"a"},{"kty":"OKP","crv":"Ed25519","x":"` + x + `","kid":"a"}]}`, 0},
		"two documents":         {`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + x + `"}]} {}`, 0},
		"an HTML error page":    {`<html>`, 0},
		"beyond what is read":   {`{"keys":[]` + strings.Repeat(" ", 1<<20) + `}`, 0},
		"keys of another shape": {`{"keys":"none"}`, 0},
	}
	for name, tc := range cases {
		set, err := license.ParseJWKS([]byte(tc.document))
		if set.Len() != tc.keys || (err != nil) != (tc.keys == 0) {
			t.Errorf("%s: %d keys, %v; want %d", name, set.Len(), err, tc.keys)
		}
	}
}

func FuzzVerify(f *testing.F) {
	key := newKey(f)
	keys := license.NewKeySet(key)
	good := issue(f, newClaims(), key).Reveal()
	f.Add(good)
	f.Add("")
	f.Add("..")
	f.Add("e30.e30.")
	f.Add(good[:len(good)-1])
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add("eyJhbGciOiJub25lIn0.eyJleHAiOjFlMzA4fQ.")
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := license.Verify(redact.Secret(token), keys, now)
		if (claims == nil) == (err == nil) {
			t.Fatalf("claims %v beside error %v", claims, err)
		}
		if err == nil && claims.ID != "lic-1" {
			t.Fatalf("a token that nobody issued verifies: %q", token)
		}
		if err != nil && fault.Reason(err, "") == "" {
			t.Fatalf("no reason for %q: %v", token, err)
		}
		if peeked, err := license.Peek(redact.Secret(token)); err == nil {
			if _, err := json.Marshal(peeked); err != nil {
				t.Fatalf("claims that cannot be written: %v", err)
			}
		}
	})
}

func signRaw(t *testing.T, key license.SigningKey, claims jwt.MapClaims) redact.Secret {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	token.Header["kid"] = key.ID()
	text, err := token.SignedString(license.PrivateOf(key))
	if err != nil {
		t.Fatal(err)
	}
	return redact.Secret(text)
}
