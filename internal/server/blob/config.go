package blob

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

const (
	awsEndpoint       = "https://s3.amazonaws.com"
	coreWeaveEndpoint = "https://cwobject.com"
	// defaultRegion is what stores expect that have none.
	defaultRegion = "us-east-1"
	// folderName is the folder of objects in the data folder.
	folderName = "files"
)

// Config says where objects are kept. Fields other than URL win over what URL says.
type Config struct {
	// URL is one of
	//   s3://[key:secret@]bucket[/path][?region=…&kms=…]         Amazon S3
	//   s3://[key:secret@]host:port/bucket[/path][?tls=true]     what speaks its protocol
	//   cw://[key:secret@]bucket[/path]                          CoreWeave
	//   gs://bucket[/path]                                       Google Cloud Storage
	//   az://[:key@]account/container[/path]                     Azure Blob Storage
	//   file:///folder                                           a folder
	// and empty for the folder "files" in DataDir. Key and secret may be written as they are, or percent-encoded.
	URL redact.Secret
	// DataDir is used where URL is empty.
	DataDir string
	// ExternalURL is the external URL of this server, which signed URLs of a folder begin with.
	ExternalURL string

	// AccessKey and SecretKey are those of S3; either is the account key of Azure. Without them the store is reached with
	// the identity of the machine or pod.
	AccessKey redact.Secret
	SecretKey redact.Secret
	Region    string
	// KMSKey encrypts objects in S3: "" leaves that to the bucket.
	KMSKey string
	// Endpoint is the URL of the store's API; "" means the provider's own, or that in URL.
	Endpoint string
	// ExternalEndpoint is Endpoint as clients reach it, where that is another one.
	ExternalEndpoint string
	// CredentialsFile holds a service account's JSON key of Google.
	CredentialsFile string

	// Logger is used for what goes on in the background; nil means slog.Default().
	Logger *slog.Logger
	// Observe is called after each operation; nil for nobody. Outcome is "ok" or the reason of the error.
	Observe func(operation, outcome string, took time.Duration)

	// seams for tests
	now         func() time.Time
	iamEndpoint string
	// stall is how long a transfer may stand still.
	stall time.Duration
}

type kind string

const (
	kindS3     kind = "s3"
	kindGCS    kind = "gs"
	kindAzure  kind = "az"
	kindFolder kind = "file"
)

// place is a configuration that was understood.
type place struct {
	kind kind
	// endpoint and external are URLs without a slash at their end.
	endpoint, external string
	// hosted tells that the bucket's name stands in the host's name.
	hosted bool
	// bucket is bucket, container or folder; prefix is empty or ends with a slash.
	bucket, prefix string
	// account is that of Azure.
	account     string
	region, kms string
	key, secret redact.Secret
}

// Check tells what is wrong with a configuration, without asking anybody.
func (c Config) Check() error {
	_, err := c.place()
	return err
}

func invalid(field, remedy string, err error) error {
	return &fault.Error{Reason: ReasonConfigInvalid, Op: "read " + field, Err: err, Hint: remedy}
}

const urlHint = "Write s3://bucket/path, s3://key:secret@host:port/bucket?tls=true, gs://bucket/path or az://account/container; empty means a folder."

// place understands the configuration. No error holds any of its text: it could be a secret.
func (c Config) place() (place, error) {
	p, err := c.fromURL()
	if err != nil {
		return place{}, err
	}
	for _, field := range []struct {
		into  *string
		value string
	}{{&p.region, c.Region}, {&p.kms, c.KMSKey}, {&p.endpoint, c.Endpoint}, {&p.external, c.ExternalEndpoint}} {
		if field.value != "" {
			*field.into = strings.TrimRight(strings.TrimSpace(field.value), "/")
		}
	}
	p.endpoint, p.external = withoutDefaultPort(p.endpoint), withoutDefaultPort(p.external)
	if c.AccessKey != "" {
		p.key = c.AccessKey
	}
	if c.SecretKey != "" {
		p.secret = c.SecretKey
	}
	return p, c.checkPlace(p)
}

func (c Config) fromURL() (place, error) {
	text := strings.TrimSpace(c.URL.Reveal())
	if text == "" {
		return place{kind: kindFolder, bucket: filepath.Join(c.DataDir, folderName)}, nil
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return place{}, invalid("BUCKET", urlHint, errors.New("it is no URL: it has no scheme"))
	}
	// A secret of AWS may hold slashes, and charts do not encode it: the last @ ends it.
	var login string
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		login, rest = rest[:at], rest[at+1:]
	}
	rest, query, _ := strings.Cut(rest, "?")
	options, err := url.ParseQuery(query)
	if err != nil {
		return place{}, invalid("BUCKET", urlHint, errors.New("what follows the question mark is not name=value"))
	}
	host, path, _ := strings.Cut(rest, "/")
	key, secret, _ := strings.Cut(login, ":")
	p := place{
		bucket: host, prefix: cleanPrefix(path), key: decoded(key), secret: decoded(secret),
		region: options.Get("region"), kms: options.Get("kms"), endpoint: strings.TrimRight(options.Get("endpoint"), "/"),
	}
	switch strings.ToLower(scheme) {
	case "s3":
		return c.s3Place(p, options.Get("tls"))
	case "cw":
		p.kind, p.hosted = kindS3, true
		if p.endpoint == "" {
			p.endpoint = coreWeaveEndpoint
		}
	case "gs", "gcs":
		p.kind = kindGCS
	case "az", "azblob":
		p.kind, p.account = kindAzure, host
		p.bucket, p.prefix, _ = strings.Cut(strings.Trim(path, "/"), "/")
		p.prefix = cleanPrefix(p.prefix)
	case "file":
		p.kind, p.bucket, p.prefix = kindFolder, filepath.FromSlash("/"+path), ""
		if host != "" || path == "" {
			return place{}, invalid("BUCKET", "Write file:///folder, with three slashes.", errors.New("it names no folder"))
		}
	default:
		return place{}, invalid("BUCKET", urlHint, errors.New("its scheme is none of s3, cw, gs, az and file"))
	}
	return p, nil
}

// s3Place tells a bucket of Amazon from the host of another store, which has a port, or a dot beside a path, as the
// preflight check of the operator reads it too. Without "tls" a host with another port than 443 does not encrypt.
func (c Config) s3Place(p place, tls string) (place, error) {
	p.kind = kindS3
	host := p.bucket
	if c.Endpoint != "" || p.endpoint != "" || (!strings.Contains(host, ":") && (p.prefix == "" || !strings.Contains(host, "."))) {
		return p, nil
	}
	secure := true
	if _, port, err := net.SplitHostPort(host); err == nil {
		secure = port == "443"
	}
	switch tls {
	case "", "true", "false":
	default:
		return place{}, invalid("BUCKET", "Write ?tls=true or ?tls=false.", errors.New("tls is neither true nor false"))
	}
	if tls != "" {
		secure = tls == "true"
	}
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	p.endpoint = scheme + host
	p.bucket, p.prefix, _ = strings.Cut(strings.Trim(p.prefix, "/"), "/")
	p.prefix = cleanPrefix(p.prefix)
	return p, nil
}

// withoutDefaultPort drops the port that the scheme stands for. The host in a signature has none, so a client that sends the
// port as it stands in a signed URL would be refused.
func withoutDefaultPort(endpoint string) string {
	for scheme, port := range map[string]string{"https://": ":443", "http://": ":80"} {
		rest, found := strings.CutPrefix(endpoint, scheme)
		if !found {
			continue
		}
		host, path, slash := strings.Cut(rest, "/")
		host = strings.TrimSuffix(host, port)
		if slash {
			path = "/" + path
		}
		return scheme + host + path
	}
	return endpoint
}

func cleanPrefix(path string) string {
	path = strings.Trim(path, "/")
	if path == "" {
		return ""
	}
	return path + "/"
}

// decoded takes off percent-encoding, where text has any.
func decoded(text string) redact.Secret {
	if plain, err := url.PathUnescape(text); err == nil {
		return redact.Secret(plain)
	}
	return redact.Secret(text)
}

func (c Config) checkPlace(p place) error {
	for _, field := range []struct{ name, value string }{
		{"BUCKET_ENDPOINT", p.endpoint}, {"BUCKET_EXTERNAL_URL", p.external},
	} {
		if err := checkEndpoint(field.name, field.value); err != nil {
			return err
		}
	}
	switch {
	case p.kind == kindFolder && p.bucket == folderName && c.DataDir == "":
		return invalid("DATA_DIR", "Set DATA_DIR to a folder, or BUCKET to a bucket.", errors.New("it is empty and no bucket is set"))
	case p.kind == kindAzure && (p.account == "" || p.bucket == ""):
		return invalid("BUCKET", "Write az://account/container.", errors.New("it names no account or no container"))
	case p.bucket == "":
		return invalid("BUCKET", urlHint, errors.New("it names no bucket"))
	case len(p.prefix) > 100:
		return invalid("BUCKET", "Choose a shorter path in the bucket.", fmt.Errorf("its path has %d bytes and may have 100", len(p.prefix)))
	case p.kind == kindS3 && (p.key == "") != (p.secret == ""):
		return invalid("BUCKET_ACCESS_KEY and BUCKET_SECRET_KEY", "Set both, or neither to use the identity of the pod.", errors.New("only one of them is set"))
	case p.kind != kindS3 && p.kms != "":
		return invalid("BUCKET_KMS_KEY", "Choose the key in the settings of the bucket.", errors.New("a key can be given for S3 only"))
	}
	return nil
}

func checkEndpoint(field, value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return invalid(field, "Write https://host or http://host:port.", errors.New("it is no URL of a store"))
	}
	return nil
}

// String names the place for people and logs.
func (p place) String() string {
	switch {
	case p.kind == kindFolder:
		return "folder " + p.bucket
	case p.kind == kindAzure:
		return "container " + p.bucket + " of account " + p.account
	case p.endpoint != "":
		return "bucket " + p.bucket + " at " + p.endpoint
	default:
		return "bucket " + p.bucket
	}
}

// label is a message's name for the store's kind.
func (k kind) label() string {
	return map[kind]string{kindS3: "S3", kindGCS: "Google Cloud Storage", kindAzure: "Azure Blob Storage", kindFolder: "folder"}[k]
}
