package blob

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/compute/metadata"
	"cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"
	"gocloud.dev/blob/gcsblob"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iamcredentials/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/transport"
	htransport "google.golang.org/api/transport/http"
)

const (
	// gcsChunk is held in memory of each upload through this program, and sent again where it got lost.
	gcsChunk = 4 << 20
	// maxKeyFile bounds the file of a service account's key.
	maxKeyFile = 64 << 10
	rsaBits    = 2048
)

// gcsStore is a bucket of Google Cloud Storage.
type gcsStore struct {
	portable
	handle   *storage.BucketHandle
	place    place
	identity identity
	now      func() time.Time
}

var _ driver = (*gcsStore)(nil)

// identity signs URLs: with the private key, or by asking Google, which signs for whoever may act as the account.
type identity struct {
	email string
	key   []byte
	// ask is nil where there is a key.
	ask func(ctx context.Context, text []byte) ([]byte, error)
}

func openGCS(ctx context.Context, p place, cfg Config, client *http.Client) (*gcsStore, error) {
	auth, err := gcsAuth(p, cfg)
	if err != nil {
		return nil, err
	}
	// The clients outlive the call: tokens are fetched with this context.
	ctx = context.WithoutCancel(ctx)
	authorised, err := htransport.NewTransport(ctx, client.Transport, append(auth, option.WithScopes(storage.ScopeFullControl, iamcredentials.CloudPlatformScope))...)
	if err != nil {
		return nil, gcsCredentialsInvalid(cause(err))
	}
	options := []option.ClientOption{option.WithHTTPClient(&http.Client{Transport: authorised}), storage.WithJSONReads()}
	if p.endpoint != "" {
		options = append(options, option.WithEndpoint(p.endpoint+"/storage/v1/"))
	}
	storageClient, err := storage.NewClient(ctx, options...)
	if err != nil {
		return nil, gcsCredentialsInvalid(cause(err))
	}
	storageClient.SetRetry(storage.WithPolicy(storage.RetryAlways), storage.WithMaxAttempts(tries),
		storage.WithBackoff(gax.Backoff{Initial: firstPause, Max: maxBackoff}))
	bucket, err := gcsblob.OpenBucket(ctx, nil, p.bucket, &gcsblob.Options{Client: storageClient})
	if err != nil {
		return nil, invalid("BUCKET", urlHint, cause(err))
	}
	who, err := gcsIdentity(ctx, p, cfg, &http.Client{Transport: authorised}, auth)
	if err != nil {
		return nil, err
	}
	return &gcsStore{
		portable: portable{bucket: bucket, buffer: gcsChunk, concurrency: 1},
		handle:   storageClient.Bucket(p.bucket), place: p, identity: who, now: cfg.now,
	}, nil
}

func gcsCredentialsInvalid(err error) error {
	return invalid("the credentials of Google Cloud", "Give the pod's service account an identity with Workload Identity, or set BUCKET_CREDENTIALS_FILE to the JSON key of a service account.", err)
}

// gcsAuth says how requests are authorised. An emulator without a key file wants none.
func gcsAuth(p place, cfg Config) ([]option.ClientOption, error) {
	if cfg.CredentialsFile == "" {
		if p.endpoint != "" {
			return []option.ClientOption{option.WithoutAuthentication()}, nil
		}
		return nil, nil
	}
	text, err := readSmall(cfg.CredentialsFile)
	if err != nil {
		return nil, gcsCredentialsInvalid(err)
	}
	return []option.ClientOption{option.WithAuthCredentialsJSON(option.ServiceAccount, text)}, nil
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxKeyFile))
}

type serviceAccount struct {
	Email         string `json:"client_email"`
	Key           string `json:"private_key"`
	Impersonation string `json:"service_account_impersonation_url"`
}

func gcsIdentity(ctx context.Context, p place, cfg Config, client *http.Client, auth []option.ClientOption) (identity, error) {
	if cfg.CredentialsFile == "" && p.endpoint != "" {
		return emulatorIdentity()
	}
	credentials, err := transport.Creds(ctx, append(auth, option.WithScopes(storage.ScopeFullControl))...)
	if err != nil {
		return identity{}, gcsCredentialsInvalid(cause(err))
	}
	account, err := accountOf(ctx, credentials)
	if err != nil {
		return identity{}, gcsCredentialsInvalid(err)
	}
	if account.Key != "" {
		return identity{email: account.Email, key: []byte(account.Key)}, nil
	}
	return keyless(ctx, account.Email, client, cfg.iamEndpoint)
}

// accountOf finds the service account behind credentials: in their JSON, or from the machine.
func accountOf(ctx context.Context, credentials *google.Credentials) (serviceAccount, error) {
	var account serviceAccount
	if len(credentials.JSON) > 0 {
		if err := json.Unmarshal(credentials.JSON, &account); err != nil {
			return serviceAccount{}, errors.New("the credentials are not JSON")
		}
		if account.Email != "" {
			return account, nil
		}
		if _, last, found := strings.Cut(account.Impersonation, "/serviceAccounts/"); found {
			account.Email, _, _ = strings.Cut(last, ":")
			return account, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout/3)
	defer cancel()
	email, err := metadata.EmailWithContext(ctx, "default")
	if err != nil {
		return serviceAccount{}, errors.New("they name no service account, without which no URL can be signed")
	}
	return serviceAccount{Email: email}, nil
}

// emulatorIdentity signs with a key that exists until the program ends: emulators check no signature.
func emulatorIdentity() (identity, error) {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return identity{}, err
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return identity{email: "emulator@example.iam.gserviceaccount.com", key: encoded}, nil
}

// keyless asks Google to sign. Each signature is a request.
func keyless(ctx context.Context, email string, client *http.Client, endpoint string) (identity, error) {
	options := []option.ClientOption{option.WithHTTPClient(client)}
	if endpoint != "" {
		options = append(options, option.WithEndpoint(endpoint))
	}
	service, err := iamcredentials.NewService(ctx, options...)
	if err != nil {
		return identity{}, gcsCredentialsInvalid(cause(err))
	}
	return identity{email: email, ask: func(ctx context.Context, text []byte) (signature []byte, err error) {
		request := &iamcredentials.SignBlobRequest{Payload: base64.StdEncoding.EncodeToString(text)}
		err = retried(ctx, googlePasses, func() error {
			answer, err := service.Projects.ServiceAccounts.SignBlob("projects/-/serviceAccounts/"+email, request).Context(ctx).Do()
			if err != nil {
				return err
			}
			signature, err = base64.StdEncoding.DecodeString(answer.SignedBlob)
			return err
		})
		return signature, err
	}}, nil
}

func googlePasses(err error) bool {
	var known *googleapi.Error
	if errors.As(err, &known) {
		return known.Code == http.StatusTooManyRequests || known.Code >= http.StatusInternalServerError
	}
	return isNetwork(err)
}

func (g *gcsStore) sign(ctx context.Context, method, name string, expiry time.Duration, query url.Values) (string, error) {
	o := &storage.SignedURLOptions{
		Scheme: storage.SigningSchemeV4, Method: method, Expires: g.now().Add(expiry), QueryParameters: query,
		GoogleAccessID: g.identity.email, PrivateKey: g.identity.key,
	}
	if g.identity.ask != nil {
		o.SignBytes = func(text []byte) ([]byte, error) { return g.identity.ask(ctx, text) }
	}
	if base := g.external(); base != "" {
		u, err := url.Parse(base)
		if err != nil {
			return "", err
		}
		o.Hostname, o.Insecure = u.Host, u.Scheme == "http"
	}
	return storage.SignedURL(g.place.bucket, name, o)
}

func (g *gcsStore) external() string {
	if g.place.external != "" {
		return g.place.external
	}
	return g.place.endpoint
}

func (g *gcsStore) signGet(ctx context.Context, name string, o GetOptions) (string, error) {
	query := url.Values{}
	if o.ContentType != "" {
		query.Set("response-content-type", o.ContentType)
	}
	if o.Disposition != "" {
		query.Set("response-content-disposition", o.Disposition)
	}
	return g.sign(ctx, http.MethodGet, name, o.Expiry, query)
}

// signPut leaves type and MD5 out of the signature, which Google allows for a type that is not signed.
func (g *gcsStore) signPut(ctx context.Context, name string, o PutOptions) (SignedPut, error) {
	address, err := g.sign(ctx, http.MethodPut, name, o.Expiry, nil)
	return SignedPut{URL: address, Headers: putHeaders(o)}, err
}

// allowOrigins adds a rule to those that are there.
func (g *gcsStore) allowOrigins(ctx context.Context, origins []string) (bool, error) {
	attributes, err := g.handle.Attrs(ctx)
	if err != nil {
		return false, err
	}
	// ResponseHeaders of Google are both the headers that a browser may send and those that it may see.
	headers := []string{"Content-Type", "Content-MD5", "ETag", "Range", "Content-Range", "x-goog-resumable"}
	if slices.ContainsFunc(attributes.CORS, func(rule storage.CORS) bool {
		return allows(origins, corsMethods, rule.Origins, rule.Methods, []string{"*"}, rule.ResponseHeaders)
	}) {
		return false, nil
	}
	rules := append(slices.Clone(attributes.CORS), storage.CORS{
		MaxAge: corsAge, Methods: corsMethods, Origins: origins, ResponseHeaders: headers,
	})
	_, err = g.handle.Update(ctx, storage.BucketAttrsToUpdate{CORS: rules})
	return err == nil, err
}

func (g *gcsStore) explain(err error) (reason, hint string) {
	if errors.Is(err, storage.ErrObjectNotExist) {
		return ReasonNotFound, ""
	}
	const create = "Create the bucket, or set BUCKET to one that exists."
	if errors.Is(err, storage.ErrBucketNotExist) {
		return ReasonMissing, create
	}
	var known *googleapi.Error
	if !errors.As(err, &known) {
		return "", ""
	}
	switch known.Code {
	case http.StatusNotFound:
		return ReasonMissing, create
	case http.StatusUnauthorized, http.StatusForbidden:
		return ReasonForbidden, "Grant the service account roles/storage.objectAdmin on the bucket and, to sign URLs without a key, roles/iam.serviceAccountTokenCreator on itself. To set CORS it needs storage.buckets.get and storage.buckets.update."
	}
	return ReasonFailed, ""
}
