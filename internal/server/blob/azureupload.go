package blob

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// In Azure an upload in parts is a list of blocks, which wait beside the blob until they are committed or a week has passed.
// An id holds what begins the names of the blocks, and the type, since nothing is stored at the beginning.

func (a *azureStore) put(ctx context.Context, name string, r io.Reader, size int64, o PutOptions) error {
	buffer := a.buffer
	if size > azureBuffer*(azureMaxBlocks-1) {
		buffer = int(size/(azureMaxBlocks-1)) + 1
	}
	return a.write(ctx, name, r, o, buffer)
}

func (a *azureStore) start(_ context.Context, _ string, o PutOptions) (string, error) {
	return rand.Text() + "-" + hex.EncodeToString([]byte(contentType(o.ContentType))), nil
}

func splitID(id string) (blocks, kind string, err error) {
	if err := checkID(id); err != nil {
		return "", "", err
	}
	blocks, encoded, found := strings.Cut(id, "-")
	text, err := hex.DecodeString(encoded)
	if err != nil || !found || len(blocks) > 32 {
		return "", "", ErrNotFound
	}
	return blocks, string(text), nil
}

func blockID(blocks string, number int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s-%05d", blocks, number))
}

func (a *azureStore) signPart(ctx context.Context, name, id string, number int, o PutOptions) (SignedPut, error) {
	blocks, _, err := splitID(id)
	if err != nil {
		return SignedPut{}, err
	}
	signed, err := a.signPut(ctx, name, PutOptions{Expiry: o.Expiry})
	if err != nil {
		return SignedPut{}, err
	}
	signed.URL += "&comp=block&blockid=" + url.QueryEscape(blockID(blocks, number))
	signed.Headers = putHeaders(PutOptions{MD5: o.MD5})
	return signed, nil
}

// complete cannot compare what a client says of its blocks: Azure keeps no MD5 of them.
func (a *azureStore) complete(ctx context.Context, name, id string, parts []Part) error {
	blocks, kind, err := splitID(id)
	if err != nil {
		return err
	}
	client := a.container.NewBlockBlobClient(name)
	stored, err := client.GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
	if err != nil {
		return err
	}
	waiting := map[string]bool{}
	for _, block := range stored.UncommittedBlocks {
		if raw, err := base64.StdEncoding.DecodeString(*block.Name); err == nil && strings.HasPrefix(string(raw), blocks+"-") {
			waiting[*block.Name] = true
		}
	}
	if len(waiting) == 0 {
		return ErrNotFound
	}
	ids := make([]string, len(parts))
	for i, part := range parts {
		if ids[i] = blockID(blocks, part.Number); !waiting[ids[i]] {
			return fmt.Errorf("%w: part %d was not uploaded", errMismatch, part.Number)
		}
	}
	_, err = client.CommitBlockList(ctx, ids, &blockblob.CommitBlockListOptions{HTTPHeaders: &blob.HTTPHeaders{BlobContentType: &kind}})
	return err
}

// abort leaves the blocks to Azure, which drops them after a week.
func (a *azureStore) abort(_ context.Context, _, id string) error {
	_, _, err := splitID(id)
	return err
}
