package blob

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"time"
)

// originTimeout bounds finding out an origin: a signature may need the identity of the pod.
const originTimeout = 5 * time.Second

// Origin is scheme and host of signed URLs, for the policy of pages that show what is in the bucket; "" for a folder, whose
// URLs are those of the server.
func (b *Bucket) Origin(ctx context.Context) (string, error) {
	p := b.place
	switch p.kind {
	case kindFolder:
		return "", nil
	case kindGCS:
		return originOf(cmp.Or(p.external, p.endpoint, "https://storage.googleapis.com"))
	case kindAzure:
		return originOf(cmp.Or(p.external, p.endpoint, "https://"+p.account+".blob.core.windows.net"))
	}
	// Whether the bucket stands in the host depends on its name and its region.
	ctx, cancel := context.WithTimeout(ctx, originTimeout)
	defer cancel()
	signed, err := b.SignGet(ctx, "origin", GetOptions{})
	if err != nil {
		return "", err
	}
	return originOf(signed)
}

func originOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("read the address of the bucket: %w", err)
	}
	return u.Scheme + "://" + u.Host, nil
}
