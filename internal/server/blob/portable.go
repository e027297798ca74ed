package blob

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	gcblob "gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"
)

// portable moves bytes to and from any store in the cloud.
type portable struct {
	bucket      *gcblob.Bucket
	buffer      int
	concurrency int
}

func (p *portable) put(ctx context.Context, name string, r io.Reader, _ int64, o PutOptions) error {
	return p.write(ctx, name, r, o, p.buffer)
}

// write stores nothing where r fails: not every store's client looks at that by itself.
func (p *portable) write(ctx context.Context, name string, r io.Reader, o PutOptions, buffer int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	source := &aborting{r: r, abort: cancel}
	err := p.bucket.Upload(ctx, name, source, &gcblob.WriterOptions{
		BufferSize: buffer, MaxConcurrency: p.concurrency, ContentType: contentType(o.ContentType),
	})
	if source.err != nil {
		return source.err
	}
	return err
}

// aborting ends the work of a reader's reader with its first error.
type aborting struct {
	r     io.Reader
	abort func()
	err   error
}

func (a *aborting) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		a.err = err
		a.abort()
	}
	return n, err
}

func (p *portable) get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, Object, error) {
	if length < 0 {
		length = -1
	}
	r, err := p.bucket.NewRangeReader(ctx, name, offset, length, nil)
	if err != nil {
		return nil, Object{}, missing(err)
	}
	return r, Object{Size: r.Size(), ContentType: r.ContentType(), Modified: r.ModTime()}, nil
}

func (p *portable) stat(ctx context.Context, name string) (Object, error) {
	a, err := p.bucket.Attributes(ctx, name)
	if err != nil {
		return Object{}, missing(err)
	}
	object := Object{Size: a.Size, MD5: md5Of(a.MD5), ETag: a.ETag, ContentType: a.ContentType, Modified: a.ModTime}
	var s3Head s3.HeadObjectOutput
	if a.As(&s3Head) && strings.HasPrefix(string(s3Head.ServerSideEncryption), "aws:kms") {
		object.MD5 = nil // an ETag of S3 looks like an MD5 also where it is none
	}
	return object, nil
}

func md5Of(sum []byte) []byte {
	if len(sum) == 0 {
		return nil
	}
	return sum
}

func (p *portable) remove(ctx context.Context, name string) error {
	return missing(p.bucket.Delete(ctx, name))
}

func (p *portable) copyObject(ctx context.Context, from, to string) error {
	return missing(p.bucket.Copy(ctx, to, from, nil))
}

func (p *portable) list(ctx context.Context, prefix string) iter.Seq2[listed, error] {
	return func(yield func(listed, error) bool) {
		objects := p.bucket.List(&gcblob.ListOptions{Prefix: prefix})
		for {
			pageCtx, cancel := context.WithTimeout(ctx, callTimeout)
			object, err := objects.Next(pageCtx)
			cancel()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(listed{}, err)
				return
			}
			if !yield(listed{object.Key, Object{Size: object.Size, Modified: object.ModTime}}, nil) {
				return
			}
		}
	}
}

func (p *portable) close() error { return p.bucket.Close() }

// missing makes ErrNotFound of an error that says that an object is missing, and leaves the one that misses a whole bucket.
func missing(err error) error {
	if gcerrors.Code(err) != gcerrors.NotFound {
		return err
	}
	var aws smithy.APIError
	if errors.As(err, &aws) && aws.ErrorCode() == "NoSuchBucket" {
		return err
	}
	var azure *azcore.ResponseError
	if errors.As(err, &azure) && azure.ErrorCode == "ContainerNotFound" {
		return err
	}
	return ErrNotFound
}

// said is what a store said, without headers and addresses of the exchange.
func said(err error) string {
	var aws smithy.APIError
	if errors.As(err, &aws) {
		return aws.ErrorCode() + ": " + aws.ErrorMessage()
	}
	var azure *azcore.ResponseError
	if errors.As(err, &azure) {
		return azure.ErrorCode
	}
	var google *googleapi.Error
	if errors.As(err, &google) {
		return google.Message
	}
	return ""
}
