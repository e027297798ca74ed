package blob

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
)

const (
	corsRule = "kubewandb"
	corsAge  = 50 * time.Minute
)

var (
	corsMethods = []string{http.MethodGet, http.MethodHead, http.MethodPut}
	corsExposed = []string{"ETag"}
)

// CORS is whether browsers may use the bucket from the pages of this server.
type CORS struct {
	// Allowed tells whether the store said so to a request like a browser's.
	Allowed bool
	// Changed tells that a rule was added.
	Changed bool
	// Refusal is why a rule could not be added; nil where none was needed, or where it was added.
	Refusal error
	// Hint says what to do where Allowed is false.
	Hint string
}

// EnsureCORS lets pages of these origins, "https://wandb.example.com", read and write objects by signed URLs: where no rule
// of the bucket allows it, one is added. It then asks the store as a browser would. An error is one of that question.
func (b *Bucket) EnsureCORS(ctx context.Context, origins []string) (CORS, error) {
	if len(origins) == 0 {
		return CORS{}, keyError("", errors.New("no origin is given"))
	}
	if b.place.kind == kindFolder {
		return CORS{Allowed: true}, nil
	}
	setCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var found CORS
	changed, err := b.driver.allowOrigins(setCtx, origins)
	found.Changed, found.Refusal = changed, b.failed("set CORS for", "*", err)
	signed, err := b.SignPut(ctx, probeKey, PutOptions{Expiry: time.Minute})
	if err != nil {
		return found, err
	}
	found.Allowed = true
	for _, origin := range origins {
		allowed, err := askCORS(ctx, b.http, signed.URL, origin)
		if err != nil {
			return found, b.failed("ask for CORS of", "*", err)
		}
		found.Allowed = found.Allowed && allowed
	}
	if !found.Allowed {
		found.Hint = fmt.Sprintf("Allow %s from %s, all headers, and expose ETag, in the CORS rules of the %s.",
			strings.Join(corsMethods, ", "), strings.Join(origins, ", "), b.place)
		if found.Changed {
			found.Hint = "A rule was added just now; stores take up to a minute to heed it. " + found.Hint
		}
	}
	if hint := fault.Hint(found.Refusal); hint != "" && found.Hint != "" {
		found.Hint += " " + hint
	}
	return found, nil
}

// askCORS asks as a browser would before it writes.
func askCORS(ctx context.Context, client *http.Client, address, origin string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout/3)
	defer cancel()
	allowed := false
	err := retried(ctx, isNetwork, func() error {
		r, err := http.NewRequestWithContext(ctx, http.MethodOptions, address, http.NoBody)
		if err != nil {
			return err
		}
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", http.MethodPut)
		r.Header.Set("Access-Control-Request-Headers", "content-type")
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		_ = answer.Body.Close() // everything that counts stands in the header
		allowed = answer.StatusCode < http.StatusMultipleChoices && preflightAllows(answer.Header, origin)
		return nil
	})
	return allowed, err
}

func preflightAllows(h http.Header, origin string) bool {
	if allowed := h.Get("Access-Control-Allow-Origin"); allowed != "*" && !strings.EqualFold(allowed, origin) {
		return false
	}
	for method := range strings.SplitSeq(strings.Join(h.Values("Access-Control-Allow-Methods"), ","), ",") {
		if method = strings.TrimSpace(method); method == "*" || strings.EqualFold(method, http.MethodPut) {
			return true
		}
	}
	return false
}

// allows tells whether one rule of a bucket gives pages of all origins what they need.
func allows(origins, methods, ruleOrigins, ruleMethods, ruleHeaders, ruleExposed []string) bool {
	covers := func(rule, wanted []string) bool {
		return slices.Contains(rule, "*") || !slices.ContainsFunc(wanted, func(want string) bool {
			return !slices.ContainsFunc(rule, func(have string) bool { return strings.EqualFold(have, want) })
		})
	}
	return covers(ruleOrigins, origins) && covers(ruleMethods, methods) && slices.Contains(ruleHeaders, "*") && covers(ruleExposed, corsExposed)
}
