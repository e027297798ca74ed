package preflight

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// cors asks as a browser would before it reads and writes objects from pages of the application.
func (r *run) cors(ctx context.Context, transport http.RoundTripper, b bucket, object string) Check {
	address, _ := parseHost(text(r.Values, "global", "host"))
	if address == nil {
		return skipped(BucketCORS, "global.host is no URL, so that the origin of pages is not known")
	}
	origin := address.Scheme + "://" + address.Host
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPut}
	refused := make([]string, len(methods))
	problems := make([]error, len(methods))
	var group sync.WaitGroup
	for i, method := range methods {
		group.Go(func() {
			allowed, err := askCORS(ctx, client, object, origin, method)
			if problems[i] = err; err == nil && !allowed {
				refused[i] = method
			}
		})
	}
	group.Wait()
	for _, err := range problems {
		if err != nil {
			return skipped(BucketCORS, "%s did not answer: %s", b.place(), cause(err))
		}
	}
	refused = slices.DeleteFunc(refused, func(method string) bool { return method == "" })
	if len(refused) > 0 {
		return warning(BucketCORS, "%s refuses %s from pages of %s. Allow them: %s", b.place(), strings.Join(refused, ", "), origin, corsRule(origin, methods))
	}
	return passed(BucketCORS, "pages of %s may read and write objects", origin)
}

// corsRule is a rule as `aws s3api put-bucket-cors --cors-configuration` takes it.
func corsRule(origin string, methods []string) string {
	return fmt.Sprintf(`{"CORSRules":[{"AllowedOrigins":[%q],"AllowedMethods":["%s"],"AllowedHeaders":["*"],"ExposeHeaders":["ETag"]}]}`,
		origin, strings.Join(methods, `","`))
}

func askCORS(ctx context.Context, client *http.Client, object, origin, method string) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodOptions, object, http.NoBody)
	if err != nil {
		return false, fmt.Errorf("ask for CORS: %w", err)
	}
	request.Header.Set("Origin", origin)
	request.Header.Set("Access-Control-Request-Method", method)
	answer, err := client.Do(request)
	if err != nil {
		return false, fmt.Errorf("ask for CORS: %w", err)
	}
	_ = answer.Body.Close() // everything that counts stands in the header
	return allowsCORS(answer.StatusCode, answer.Header, origin, method), nil
}

// allowsCORS reads the answer as a browser does.
func allowsCORS(status int, header http.Header, origin, method string) bool {
	if status < 200 || status > 299 {
		return false
	}
	allowed := header.Get("Access-Control-Allow-Origin")
	if allowed != "*" && !strings.EqualFold(allowed, origin) {
		return false
	}
	if method == http.MethodGet || method == http.MethodHead {
		return true // a browser asks for no leave for these: the origin is enough
	}
	for part := range strings.SplitSeq(strings.Join(header.Values("Access-Control-Allow-Methods"), ","), ",") {
		if part = strings.TrimSpace(part); part == "*" || strings.EqualFold(part, method) {
			return true
		}
	}
	return false
}
