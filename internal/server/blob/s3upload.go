package blob

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

func newS3Retryer() *retry.Standard {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff = tries, maxBackoff
	})
}

// isNoCredentials tells that nothing on this machine says who asks.
func isNoCredentials(err error) bool {
	text := err.Error()
	return strings.Contains(text, "get credentials") || strings.Contains(text, "no EC2 IMDS role") || strings.Contains(text, "get identity")
}

func (s *s3Store) start(ctx context.Context, name string, o PutOptions) (string, error) {
	in := &s3.CreateMultipartUploadInput{Bucket: &s.place.bucket, Key: &name, ContentType: aws.String(contentType(o.ContentType))}
	if s.place.kms != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &s.place.kms
	}
	answer, err := s.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.ToString(answer.UploadId), nil
}

func (s *s3Store) signPart(ctx context.Context, name, id string, number int, o PutOptions) (SignedPut, error) {
	signed, err := s.presign.PresignUploadPart(ctx, &s3.UploadPartInput{
		Bucket: &s.place.bucket, Key: &name, UploadId: &id, PartNumber: aws.Int32(int32(number)),
	}, s3.WithPresignExpires(o.Expiry))
	if err != nil {
		return SignedPut{}, err
	}
	return SignedPut{URL: signed.URL, Headers: putHeaders(PutOptions{MD5: o.MD5})}, nil
}

// complete asks the store which parts it has, and compares.
func (s *s3Store) complete(ctx context.Context, name, id string, parts []Part) error {
	stored, err := s.parts(ctx, name, id)
	if err != nil {
		return err
	}
	if err := compareParts(stored, parts); err != nil {
		return err
	}
	completed := make([]types.CompletedPart, len(parts))
	for i, part := range parts {
		completed[i] = types.CompletedPart{PartNumber: aws.Int32(int32(part.Number)), ETag: aws.String(stored[part.Number])}
	}
	_, err = s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &s.place.bucket, Key: &name, UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: completed},
	})
	return err
}

// compareParts compares what a client sent with the ETags of a store. An ETag is the MD5 unless a key of KMS encrypts the
// bucket, which nothing here tells: where it is so for one part it is so for all.
func compareParts(etags map[int]string, parts []Part) error {
	equal, different := 0, 0
	for _, part := range parts {
		etag, found := etags[part.Number]
		if !found {
			return fmt.Errorf("%w: part %d was not uploaded", errMismatch, part.Number)
		}
		if sum := md5OfETag(etag); sum == nil || len(part.MD5) == 0 {
			continue
		} else if bytes.Equal(sum, part.MD5) {
			equal++
		} else {
			different = part.Number
		}
	}
	if equal > 0 && different > 0 {
		return fmt.Errorf("%w: part %d has another MD5", errMismatch, different)
	}
	return nil
}

func (s *s3Store) parts(ctx context.Context, name, id string) (map[int]string, error) {
	found := map[int]string{}
	pages := s3.NewListPartsPaginator(s.client, &s3.ListPartsInput{Bucket: &s.place.bucket, Key: &name, UploadId: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, part := range page.Parts {
			found[int(aws.ToInt32(part.PartNumber))] = aws.ToString(part.ETag)
		}
	}
	return found, nil
}

// md5OfETag is nil for what is no MD5, such as that of an object in parts.
func md5OfETag(etag string) []byte {
	sum, err := hex.DecodeString(strings.Trim(etag, `"`))
	if err != nil || len(sum) != md5.Size {
		return nil
	}
	return sum
}

func (s *s3Store) abort(ctx context.Context, name, id string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.place.bucket, Key: &name, UploadId: &id})
	return err
}

// allowOrigins adds a rule to those that are there; a rule of ours is recognised by its id.
func (s *s3Store) allowOrigins(ctx context.Context, origins []string) (bool, error) {
	rules, err := s.rules(ctx)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(rules, func(rule types.CORSRule) bool {
		return allows(origins, corsMethods, rule.AllowedOrigins, rule.AllowedMethods, rule.AllowedHeaders, rule.ExposeHeaders)
	}) {
		return false, nil
	}
	rules = slices.DeleteFunc(rules, func(rule types.CORSRule) bool { return aws.ToString(rule.ID) == corsRule })
	rules = append(rules, types.CORSRule{
		ID: aws.String(corsRule), AllowedOrigins: origins, AllowedMethods: corsMethods, AllowedHeaders: []string{"*"},
		ExposeHeaders: corsExposed, MaxAgeSeconds: aws.Int32(int32(corsAge / time.Second)),
	})
	_, err = s.client.PutBucketCors(ctx, &s3.PutBucketCorsInput{
		Bucket: &s.place.bucket, CORSConfiguration: &types.CORSConfiguration{CORSRules: rules},
	})
	return err == nil, err
}

func (s *s3Store) rules(ctx context.Context) ([]types.CORSRule, error) {
	answer, err := s.client.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: &s.place.bucket})
	var known smithy.APIError
	if errors.As(err, &known) && known.ErrorCode() == "NoSuchCORSConfiguration" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return answer.CORSRules, nil
}
