package blob

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"gocloud.dev/blob/s3blob"
)

const (
	// s3CopyLimit is the largest object that S3 copies at once; larger ones are copied in parts of s3CopyPart.
	s3CopyLimit = 5 << 30
	s3CopyPart  = 1 << 30
	// s3Buffer is held in memory of an upload through this program, s3Concurrency times.
	s3Buffer      = 8 << 20
	s3Concurrency = 2
	maxBackoff    = 5 * time.Second
)

// s3Store is a bucket of S3, or of what speaks its protocol.
type s3Store struct {
	portable
	client *s3.Client
	// presign makes URLs with the host by which clients reach the store.
	presign *s3.PresignClient
	place   place

	// seams for tests
	copyLimit, copyPart int64
}

var _ driver = (*s3Store)(nil)

func openS3(ctx context.Context, p place, client *http.Client) (*s3Store, error) {
	loaded, err := awsconfig.LoadDefaultConfig(ctx, awsOptions(p)...)
	if err != nil {
		return nil, invalid("the AWS configuration", "Check AWS_PROFILE, AWS_CONFIG_FILE and the other variables of AWS.", cause(err))
	}
	if own, ok := loaded.HTTPClient.(*awshttp.BuildableClient); ok {
		client = withAuthorities(client, own.GetTransport())
	}
	loaded.HTTPClient = client
	if loaded.Region == "" {
		loaded.Region = defaultRegion
	}
	s := &s3Store{place: p, copyLimit: s3CopyLimit, copyPart: s3CopyPart, client: s3.NewFromConfig(loaded, s3Options(p, p.endpoint))}
	if p.region == "" && p.endpoint == "" {
		if region := s.home(ctx); region != "" && region != loaded.Region {
			loaded.Region = region
			s.client = s3.NewFromConfig(loaded, s3Options(p, p.endpoint))
		}
	}
	external := s.client
	if p.external != "" {
		external = s3.NewFromConfig(loaded, s3Options(p, p.external))
	}
	s.presign = s3.NewPresignClient(external)
	options := &s3blob.Options{KMSEncryptionID: p.kms, RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired}
	if p.kms != "" {
		options.EncryptionType = types.ServerSideEncryptionAwsKms
	}
	bucket, err := s3blob.OpenBucket(ctx, s.client, p.bucket, options)
	if err != nil {
		return nil, invalid("BUCKET", urlHint, cause(err))
	}
	s.portable = portable{bucket: bucket, buffer: s3Buffer, concurrency: s3Concurrency}
	return s, nil
}

// withAuthorities takes over what AWS_CA_BUNDLE names.
func withAuthorities(client *http.Client, aws *http.Transport) *http.Client {
	if aws.TLSClientConfig == nil || aws.TLSClientConfig.RootCAs == nil {
		return client
	}
	transport := newTransport()
	transport.TLSClientConfig = &tls.Config{RootCAs: aws.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: bounded{transport}}
}

func awsOptions(p place) []func(*awsconfig.LoadOptions) error {
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRetryer(func() aws.Retryer {
			return newS3Retryer()
		}),
	}
	if p.region != "" {
		options = append(options, awsconfig.WithRegion(p.region))
	} else if p.endpoint != "" {
		options = append(options, awsconfig.WithRegion(defaultRegion))
	}
	if p.key != "" {
		fixed := credentials.NewStaticCredentialsProvider(p.key.Reveal(), p.secret.Reveal(), "")
		options = append(options, awsconfig.WithCredentialsProvider(fixed))
	}
	return options
}

// s3Options are those that stores other than Amazon's understand, which know no checksum trailers.
func s3Options(p place, endpoint string) func(*s3.Options) {
	return func(o *s3.Options) {
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
			o.UsePathStyle = !p.hosted
		}
		if strings.Contains(p.bucket, ".") {
			o.UsePathStyle = true // the certificate of Amazon covers one label before its own name
		}
	}
}

// home is the region of a bucket of Amazon; "" where it does not say.
func (s *s3Store) home(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, callTimeout/3)
	defer cancel()
	answer, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.place.bucket})
	if err == nil {
		return aws.ToString(answer.BucketRegion)
	}
	var withResponse *awshttp.ResponseError
	if errors.As(err, &withResponse) {
		return withResponse.Response.Header.Get("X-Amz-Bucket-Region")
	}
	return ""
}

func (s *s3Store) signGet(ctx context.Context, name string, o GetOptions) (string, error) {
	in := &s3.GetObjectInput{Bucket: &s.place.bucket, Key: &name}
	if o.ContentType != "" {
		in.ResponseContentType = &o.ContentType
	}
	if o.Disposition != "" {
		in.ResponseContentDisposition = &o.Disposition
	}
	signed, err := s.presign.PresignGetObject(ctx, in, s3.WithPresignExpires(o.Expiry))
	if err != nil {
		return "", err
	}
	return signed.URL, nil
}

// signPut leaves type and MD5 out of the signature: a client that does not send them is served all the same.
func (s *s3Store) signPut(ctx context.Context, name string, o PutOptions) (SignedPut, error) {
	in := &s3.PutObjectInput{Bucket: &s.place.bucket, Key: &name}
	if s.place.kms != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &s.place.kms
	}
	signed, err := s.presign.PresignPutObject(ctx, in, s3.WithPresignExpires(o.Expiry))
	if err != nil {
		return SignedPut{}, err
	}
	return SignedPut{URL: signed.URL, Headers: append(putHeaders(o), signedHeaders(signed)...)}, nil
}

// putHeaders are those of every store.
func putHeaders(o PutOptions) []string {
	headers := []string{}
	if o.ContentType != "" {
		headers = append(headers, "Content-Type:"+o.ContentType)
	}
	if len(o.MD5) > 0 {
		headers = append(headers, "Content-MD5:"+base64.StdEncoding.EncodeToString(o.MD5))
	}
	return headers
}

// signedHeaders are what the signature covers and no client sends on its own.
func signedHeaders(signed *v4.PresignedHTTPRequest) []string {
	var headers []string
	for _, name := range []string{"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"} {
		if value := signed.SignedHeader.Get(name); value != "" {
			headers = append(headers, name+":"+value)
		}
	}
	return headers
}

func (s *s3Store) copyObject(ctx context.Context, from, to string) error {
	object, err := s.stat(ctx, from)
	if err != nil {
		return err
	}
	if object.Size < s.copyLimit {
		return s.portable.copyObject(ctx, from, to)
	}
	id, err := s.start(ctx, to, PutOptions{ContentType: object.ContentType})
	if err != nil {
		return err
	}
	if err := s.copyParts(ctx, from, to, id, object.Size); err != nil {
		return errors.Join(err, s.abort(context.WithoutCancel(ctx), to, id))
	}
	return nil
}

func (s *s3Store) copyParts(ctx context.Context, from, to, id string, size int64) error {
	var parts []Part
	for start := int64(0); start < size; start += s.copyPart {
		parts = append(parts, Part{Number: len(parts) + 1})
		_, err := s.client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: &s.place.bucket, Key: &to, UploadId: &id, PartNumber: aws.Int32(int32(len(parts))),
			CopySource:      aws.String(s.place.bucket + "/" + from),
			CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", start, min(start+s.copyPart, size)-1)),
		})
		if err != nil {
			return err
		}
	}
	return s.complete(ctx, to, id, parts)
}

func (s *s3Store) put(ctx context.Context, name string, r io.Reader, size int64, o PutOptions) error {
	buffer := s.buffer
	if size > s3Buffer*(MaxParts-1) {
		buffer = int(size/(MaxParts-1)) + 1
	}
	return s.write(ctx, name, r, o, buffer)
}

func (s *s3Store) explain(err error) (reason, hint string) {
	var known smithy.APIError
	if !errors.As(err, &known) {
		if isNoCredentials(err) {
			return ReasonForbidden, "Set BUCKET_ACCESS_KEY and BUCKET_SECRET_KEY, or give the pod's service account a role that may use the bucket."
		}
		return "", ""
	}
	grant := "Allow s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on the objects of the bucket, and s3:ListBucket on the bucket."
	switch code := known.ErrorCode(); code {
	case "NoSuchKey", "NotFound", "NoSuchUpload":
		return ReasonNotFound, ""
	case "NoSuchBucket":
		return ReasonMissing, "Create the bucket, or set BUCKET to one that exists."
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "AuthorizationHeaderMalformed":
		return ReasonForbidden, "Check BUCKET_ACCESS_KEY, BUCKET_SECRET_KEY and BUCKET_REGION, and this machine's clock: the store does not accept the signature."
	case "AccessDenied", "Forbidden", "AllAccessDisabled":
		return ReasonForbidden, grant
	case "PermanentRedirect", "MovedPermanently", "TemporaryRedirect":
		return ReasonMissing, "Set BUCKET_REGION to the region of the bucket."
	case "InvalidPart", "InvalidPartOrder", "EntityTooSmall", "BadDigest", "InvalidDigest":
		return ReasonMismatch, ""
	default:
		if strings.HasPrefix(code, "KMS") || strings.HasPrefix(code, "Kms") {
			return ReasonForbidden, "Allow kms:GenerateDataKey and kms:Decrypt for the key that BUCKET_KMS_KEY names."
		}
		return ReasonFailed, ""
	}
}
