package blob

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
)

type token struct{}

func (token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "t", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// lenderOf is a client of Azure whose account is a test's server.
func lenderOf(t *testing.T, server *httptest.Server) *service.Client {
	t.Helper()
	client, err := service.NewClient(server.URL, token{}, &service.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: server.Client()}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// CopyInParts makes S3 copy even small objects in parts.
func CopyInParts(b *Bucket, size int64) {
	if s, ok := b.driver.(*s3Store); ok {
		s.copyLimit, s.copyPart = 1, size
	}
}
