package preflight

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// reservedPrefix is where the check puts its object: nothing of the application begins with it.
const reservedPrefix = ".kubewandb/preflight/"

// s3 writes, reads and removes one object, and then asks what a browser would ask.
func (r *run) s3(ctx context.Context, b bucket) []Check {
	unasked := func(why string) Check { return skipped(BucketCORS, "%s", why) }
	if b.access == "" || b.secret == "" {
		why := "no keys in the values: the identity of the application's pods is used, which nobody else has; the release's own probe checks it"
		return []Check{skipped(BucketAccess, "%s", why), unasked(why)}
	}
	transport := r.transport(r.customRoots(ctx))
	store, err := newStore(b, transport)
	if err != nil {
		return []Check{failed(BucketAccess, "%s: %v. Mend global.bucket.", b.place(), err), unasked("the bucket was not reached")}
	}
	object := b.prefixed(reservedPrefix + uuid.NewString())
	access := r.tryObject(ctx, store, b, object)
	if access.Result == Failed || access.Result == Skipped {
		return []Check{access, unasked("the bucket was not reached")}
	}
	address, err := store.PresignedGetObject(ctx, b.name, object, time.Minute, nil)
	if err != nil {
		return []Check{access, unasked("the bucket's address is not known")}
	}
	address.RawQuery = "" // a question about CORS carries no signature
	return []Check{access, r.cors(ctx, transport, b, address.String())}
}

func newStore(b bucket, transport http.RoundTripper) (*minio.Client, error) {
	lookup := minio.BucketLookupAuto
	if b.hosted {
		lookup = minio.BucketLookupDNS
	}
	store, err := minio.New(b.endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(b.access.Reveal(), b.secret.Reveal(), ""),
		Secure: b.secure, Region: b.region, BucketLookup: lookup, Transport: transport,
		MaxRetries: 1, // the caller tries again in a while
	})
	if err != nil {
		return nil, fmt.Errorf("configure the store: %w", err)
	}
	return store, nil
}

func (b bucket) prefixed(name string) string {
	if b.prefix == "" {
		return name
	}
	return strings.TrimRight(b.prefix, "/") + "/" + name
}

func (r *run) tryObject(ctx context.Context, store *minio.Client, b bucket, object string) Check {
	wrote := []byte("Written by a check before an upgrade. It may be removed.\n")
	options := minio.PutObjectOptions{ContentType: "text/plain", DisableMultipart: true}
	if b.kms != "" {
		key, err := encrypt.NewSSEKMS(b.kms, nil)
		if err != nil {
			return failed(BucketAccess, "kmsKey of %s is none: %v", b.place(), err)
		}
		options.ServerSideEncryption = key
	}
	if _, err := store.PutObject(ctx, b.name, object, bytes.NewReader(wrote), int64(len(wrote)), options); err != nil {
		return r.judgeStore(b, "write an object to", "s3:PutObject", err)
	}
	read, readErr := readObject(ctx, store, b.name, object, int64(len(wrote)))
	// What was written is removed even where it could not be read.
	removeErr := store.RemoveObject(ctx, b.name, object, minio.RemoveObjectOptions{})
	switch {
	case readErr != nil:
		return r.judgeStore(b, "read an object of", "s3:GetObject", readErr)
	case !bytes.Equal(read, wrote):
		return failed(BucketAccess, "%s gave back other bytes than were written. Look for a proxy in between that changes bodies.", b.place())
	case removeErr != nil:
		return warning(BucketAccess, "%s lets nobody remove objects: %s. Allow s3:DeleteObject, or deleted artifacts stay for ever; %s was left behind.", b.place(), storeCause(removeErr), object)
	default:
		return passed(BucketAccess, "wrote, read and removed an object in %s", b.place())
	}
}

// readObject returns at most one byte more than it should find.
func readObject(ctx context.Context, store *minio.Client, name, object string, size int64) ([]byte, error) {
	found, err := store.GetObject(ctx, name, object, minio.GetObjectOptions{})
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer func() { _ = found.Close() }()
	read, err := io.ReadAll(io.LimitReader(found, size+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return read, nil
}

// judgeStore says what a failed request to the store means.
func (r *run) judgeStore(b bucket, verb, right string, err error) Check {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) || answer.Code == "" {
		if r.Outside {
			return skipped(BucketAccess, "%s is not reached from here (%s); pods may reach it: the operator looks", b.place(), storeCause(err))
		}
		return failed(BucketAccess, "%s is not reached: %s. Check name, path and region, and that the network lets pods of namespace %s through.", b.place(), storeCause(err), r.Namespace)
	}
	var hint string
	switch answer.Code {
	case minio.NoSuchBucket:
		hint = "Make the bucket, or mend its name."
	case minio.AccessDenied, "Forbidden":
		hint = fmt.Sprintf("Allow %s on it for this access key.", right)
	case "InvalidAccessKeyId", "SignatureDoesNotMatch":
		hint = "Access key and secret key do not belong together, or belong to another store: set both again."
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException":
		hint = "Set region to the one where the bucket lies."
	case "RequestTimeTooSkewed":
		hint = "Set the clocks of the cluster's nodes."
	default:
		if strings.HasPrefix(answer.Code, "KMS") || strings.HasPrefix(answer.Code, "Kms") {
			hint = "Check kmsKey, and that this access key may use it."
		} else {
			hint = "See the store's log."
		}
	}
	return failed(BucketAccess, "cannot %s %s: %s (%s). %s", verb, b.place(), strings.TrimSuffix(answer.Message, "."), answer.Code, hint)
}

func storeCause(err error) string {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) && answer.Code != "" {
		return fmt.Sprintf("%s (%s)", strings.TrimSuffix(answer.Message, "."), answer.Code)
	}
	return cause(err)
}

// customRoots returns the certificates that the application trusts beside those of its image; nil where there are none.
func (r *run) customRoots(ctx context.Context) *x509.CertPool {
	list, _ := section(r.Values, "global")["customCACerts"].([]any)
	name := text(r.Values, "global", "caCertsConfigMap")
	if len(list) == 0 && name == "" {
		return nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for _, one := range list {
		roots.AppendCertsFromPEM([]byte(scalar(one)))
	}
	if name == "" {
		return roots
	}
	var found corev1.ConfigMap
	if err := r.Cluster.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: name}, &found); err != nil {
		return roots // a certificate that is not trusted for that is named where it matters
	}
	for key, value := range found.Data {
		if strings.HasSuffix(key, ".crt") {
			roots.AppendCertsFromPEM([]byte(value))
		}
	}
	return roots
}
