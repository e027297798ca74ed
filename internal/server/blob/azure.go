package blob

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"gocloud.dev/blob/azureblob"
)

const (
	azureBuffer      = 8 << 20
	azureConcurrency = 2
	// azureMaxBlocks is how many blocks a blob may have.
	azureMaxBlocks = 50_000
	// azureWrite is the header without which Azure refuses an upload, and by which the client knows Azure.
	azureWrite = "x-ms-blob-type:BlockBlob"
	// clockSkew is how much younger than ours the store's clock may be.
	clockSkew = 5 * time.Minute
)

// azureStore is a container of Azure Blob Storage.
type azureStore struct {
	portable
	service   *service.Client
	container *container.Client
	place     place
	key       *service.SharedKeyCredential // nil: URLs are signed with a key that the account lends us
	now       func() time.Time

	mu     sync.Mutex
	lent   *service.UserDelegationCredential
	lentTo time.Time // until when
}

var _ driver = (*azureStore)(nil)

func openAzure(p place, cfg Config, client *http.Client) (*azureStore, error) {
	if p.endpoint == "" {
		p.endpoint = "https://" + p.account + ".blob.core.windows.net"
	}
	a := &azureStore{place: p, now: cfg.now}
	options := azcore.ClientOptions{
		Transport: client,
		Retry:     policy.RetryOptions{MaxRetries: tries - 1, RetryDelay: firstPause, MaxRetryDelay: maxBackoff},
	}
	var err error
	accountKey := p.secret
	if accountKey == "" {
		accountKey = p.key
	}
	if accountKey != "" {
		if a.key, err = service.NewSharedKeyCredential(p.account, accountKey.Reveal()); err != nil {
			return nil, invalid("BUCKET_SECRET_KEY", "Set it to a key of the storage account, which is base64.", errors.New("it is no key of Azure"))
		}
		a.service, err = service.NewClientWithSharedKeyCredential(p.endpoint, a.key, &service.ClientOptions{ClientOptions: options})
	} else {
		var ambient *azidentity.DefaultAzureCredential
		if ambient, err = azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options}); err != nil {
			return nil, invalid("the credentials of Azure", "Set BUCKET_SECRET_KEY to a key of the storage account, or give the pod's service account an identity with Workload Identity.", cause(err))
		}
		a.service, err = service.NewClient(p.endpoint, ambient, &service.ClientOptions{ClientOptions: options})
	}
	if err != nil {
		return nil, invalid("BUCKET", urlHint, cause(err))
	}
	a.container = a.service.NewContainerClient(p.bucket)
	bucket, err := azureblob.OpenBucket(context.Background(), a.container, nil)
	if err != nil {
		return nil, invalid("BUCKET", urlHint, cause(err))
	}
	a.portable = portable{bucket: bucket, buffer: azureBuffer, concurrency: azureConcurrency}
	return a, nil
}

func (a *azureStore) sign(ctx context.Context, name string, permissions sas.BlobPermissions, expiry time.Duration, o GetOptions) (string, error) {
	values := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPS, ExpiryTime: a.now().Add(expiry).UTC(), Permissions: permissions.String(),
		ContainerName: a.place.bucket, BlobName: name, ContentType: o.ContentType, ContentDisposition: o.Disposition,
	}
	base := a.place.endpoint
	if a.place.external != "" {
		base = a.place.external
	}
	if strings.HasPrefix(base, "http://") {
		values.Protocol = sas.ProtocolHTTPSandHTTP
	}
	query, err := a.signValues(ctx, values)
	if err != nil {
		return "", err
	}
	segments := strings.Split(name, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return base + "/" + a.place.bucket + "/" + strings.Join(segments, "/") + "?" + query.Encode(), nil
}

func (a *azureStore) signValues(ctx context.Context, values sas.BlobSignatureValues) (sas.QueryParameters, error) {
	if a.key != nil {
		return values.SignWithSharedKey(a.key)
	}
	lent, until, err := a.lentKey(ctx, values.ExpiryTime)
	if err != nil {
		return sas.QueryParameters{}, err
	}
	if values.ExpiryTime.After(until) {
		values.ExpiryTime = until // no URL outlives its key
	}
	return values.SignWithUserDelegation(lent)
}

// lentKey asks for a key at most once an hour: a key lives seven days, and most URLs one.
func (a *azureStore) lentKey(ctx context.Context, needed time.Time) (*service.UserDelegationCredential, time.Time, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now().UTC()
	fresh := now.Add(MaxExpiry - clockSkew)
	if a.lent != nil && (!needed.After(a.lentTo) || fresh.Sub(a.lentTo) < time.Hour) {
		return a.lent, a.lentTo, nil
	}
	start, expiry := now.Add(-clockSkew).Format(sas.TimeFormat), fresh.Format(sas.TimeFormat)
	lent, err := a.service.GetUserDelegationCredential(ctx, service.KeyInfo{Start: &start, Expiry: &expiry}, nil)
	if err != nil {
		return nil, time.Time{}, err
	}
	a.lent, a.lentTo = lent, fresh.Truncate(time.Second)
	return a.lent, a.lentTo, nil
}

func (a *azureStore) signGet(ctx context.Context, name string, o GetOptions) (string, error) {
	return a.sign(ctx, name, sas.BlobPermissions{Read: true}, o.Expiry, o)
}

func (a *azureStore) signPut(ctx context.Context, name string, o PutOptions) (SignedPut, error) {
	address, err := a.sign(ctx, name, sas.BlobPermissions{Create: true, Write: true}, o.Expiry, GetOptions{})
	return SignedPut{URL: address, Headers: append(putHeaders(o), azureWrite)}, err
}

// allowOrigins adds a rule to those of the storage account, which has one list for all its containers.
func (a *azureStore) allowOrigins(ctx context.Context, origins []string) (bool, error) {
	properties, err := a.service.GetProperties(ctx, nil)
	if err != nil {
		return false, err
	}
	for _, rule := range properties.CORS {
		if allows(origins, corsMethods, items(rule.AllowedOrigins), items(rule.AllowedMethods), items(rule.AllowedHeaders), items(rule.ExposedHeaders)) {
			return false, nil
		}
	}
	text := func(values []string) *string { joined := strings.Join(values, ","); return &joined }
	age := int32(corsAge / time.Second)
	rules := append(properties.CORS, &service.CORSRule{
		AllowedOrigins: text(origins), AllowedMethods: text(corsMethods), AllowedHeaders: text([]string{"*"}),
		ExposedHeaders: text([]string{"*"}), MaxAgeInSeconds: &age,
	})
	_, err = a.service.SetProperties(ctx, &service.SetPropertiesOptions{CORS: rules})
	return err == nil, err
}

func items(text *string) []string {
	if text == nil {
		return nil
	}
	return strings.FieldsFunc(*text, func(r rune) bool { return r == ',' || r == ' ' })
}

func (a *azureStore) explain(err error) (reason, hint string) {
	const grant = "Set BUCKET_SECRET_KEY to a key of the storage account, or grant the identity the roles Storage Blob Data Contributor and Storage Blob Delegator."
	var missing *azidentity.AuthenticationFailedError
	if errors.As(err, &missing) || strings.HasPrefix(err.Error(), "DefaultAzureCredential:") {
		return ReasonForbidden, grant
	}
	var known *azcore.ResponseError
	if !errors.As(err, &known) {
		return "", ""
	}
	switch {
	case bloberror.HasCode(err, bloberror.BlobNotFound):
		return ReasonNotFound, ""
	case bloberror.HasCode(err, bloberror.ContainerNotFound):
		return ReasonMissing, "Create the container, or set BUCKET to one that exists."
	case bloberror.HasCode(err, bloberror.InvalidBlockList, bloberror.InvalidBlobOrBlock, bloberror.MD5Mismatch, bloberror.InvalidMD5):
		return ReasonMismatch, ""
	case known.StatusCode == http.StatusUnauthorized, known.StatusCode == http.StatusForbidden:
		return ReasonForbidden, grant
	}
	return ReasonFailed, ""
}
