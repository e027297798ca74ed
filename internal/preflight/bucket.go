package preflight

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/kubewandb/kubewandb/internal/redact"
)

const (
	awsEndpoint       = "s3.amazonaws.com"
	coreWeaveEndpoint = "cwobject.com"
	httpsPort         = "443"
)

// bucket is where objects are kept, as the chart composes it from values.
type bucket struct {
	provider string
	// endpoint is host or host:port of the store; secure tells that it speaks TLS.
	endpoint string
	secure   bool
	// hosted tells that the bucket's name is part of the host's name and nowhere else.
	hosted bool
	// name of the bucket; prefix is empty or ends without a slash.
	name, prefix, region, kms string

	access, secret redact.Secret
}

// place names the bucket for people.
func (b bucket) place() string {
	if b.endpoint == awsEndpoint {
		return "bucket " + b.name
	}
	return fmt.Sprintf("bucket %s at %s", b.name, b.endpoint)
}

// bucket makes the two checks of the bucket.
func (r *run) bucket(ctx context.Context) []Check {
	path := "global.bucket"
	settings := section(r.Values, "global", "bucket")
	if settings["name"] == nil || settings["name"] == "" {
		path = "global.defaultBucket"
		settings = section(r.Values, "global", "defaultBucket")
	}
	both := func(check func(name, why string) Check, why string) []Check {
		return []Check{check(BucketAccess, why), check(BucketCORS, why)}
	}
	if settings["name"] == nil || settings["name"] == "" {
		return both(idle, "the values name no bucket")
	}
	unseen := func(name, why string) Check { return skipped(name, "%s", why) }
	name, problem := r.setting(ctx, path+".name", settings["name"])
	if problem != nil {
		return []Check{problem.check(BucketAccess, r.Namespace), skipped(BucketCORS, "the bucket's name could not be read")}
	}
	switch provider := strings.ToLower(cmp.Or(text(settings, "provider"), "s3")); provider {
	case "gcs":
		return both(unseen, "Google Cloud Storage is reached with the identity of the application's pods, which nobody else has; the release's own probe checks it")
	case "az":
		return both(unseen, "Azure Blob Storage is not asked from here; the release's own probe checks it")
	case "s3", "cw":
		found := parseBucket(provider, name, text(settings, "path"))
		found.region, found.kms = text(settings, "region"), text(settings, "kmsKey")
		if found.name == "" {
			return []Check{
				failed(BucketAccess, "%s.name is the host of a store, and path names no bucket. Set %s.path.", path, path),
				skipped(BucketCORS, "no bucket"),
			}
		}
		if problem := r.bucketKeys(ctx, path, settings, &found); problem != nil {
			return []Check{problem.check(BucketAccess, r.Namespace), skipped(BucketCORS, "the bucket's keys could not be read")}
		}
		return r.s3(ctx, found)
	default:
		return []Check{
			failed(BucketAccess, "%s.provider is %q and must be s3, cw, gcs or az.", path, provider),
			skipped(BucketCORS, "the kind of store is not known"),
		}
	}
}

// bucketKeys reads access key and secret key, from the values or from the Secret that they name.
func (r *run) bucketKeys(ctx context.Context, path string, settings map[string]any, into *bucket) *unresolved {
	access, secret := settings["accessKey"], settings["secretKey"]
	accessPath, secretPath := path+".accessKey", path+".secretKey"
	if name := text(r.Values, "global", "bucket", "secret", "secretName"); name != "" {
		fields := section(r.Values, "global", "bucket", "secret")
		access = secretRef(name, cmp.Or(text(fields, "accessKeyName"), "ACCESS_KEY"))
		secret = secretRef(name, cmp.Or(text(fields, "secretKeyName"), "SECRET_KEY"))
		accessPath, secretPath = "global.bucket.secret", "global.bucket.secret"
	}
	key, problem := r.setting(ctx, accessPath, access)
	if problem != nil {
		return problem
	}
	into.access = redact.Secret(strings.TrimSpace(key))
	r.learn(into.access)
	key, problem = r.setting(ctx, secretPath, secret)
	if problem != nil {
		return problem
	}
	into.secret = redact.Secret(strings.TrimSpace(key))
	r.learn(into.secret)
	return nil
}

// parseBucket reads name and path. Where name is the host of a store (it has a port, or a dot beside a path), path begins
// with the bucket. A query "?tls=true" or "?tls=false" says whether a host speaks TLS; without it a host with another
// port than 443 does not.
func parseBucket(provider, name, path string) bucket {
	name, path = strings.TrimSpace(name), strings.TrimSpace(path)
	path, query, _ := strings.Cut(path, "?")
	path = strings.Trim(path, "/")
	b := bucket{provider: provider, endpoint: awsEndpoint, secure: true, name: name, prefix: path}
	if provider == "cw" {
		b.endpoint, b.hosted = coreWeaveEndpoint, true
	}
	plain, schemed := strings.CutPrefix(name, "http://")
	encrypted, isHTTPS := strings.CutPrefix(name, "https://")
	switch {
	case schemed:
		b.endpoint, b.secure = plain, false
	case isHTTPS:
		b.endpoint = encrypted
	case strings.Contains(name, ":"), path != "" && strings.Contains(name, "."):
		b.endpoint = name
		_, port, err := net.SplitHostPort(name)
		b.secure = err != nil || port == httpsPort
	default:
		return b
	}
	b.endpoint, b.hosted = strings.TrimRight(b.endpoint, "/"), false
	b.name, b.prefix, _ = strings.Cut(path, "/")
	if options, err := url.ParseQuery(query); err == nil {
		switch options.Get("tls") {
		case "true":
			b.secure = true
		case "false":
			b.secure = false
		}
	}
	return b
}
