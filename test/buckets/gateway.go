package buckets

import (
	"net"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/kubewandb/kubewandb/test/netns"
)

// Gateway is an S3 that pods reach, with one empty bucket.
type Gateway struct {
	Host      string
	Port      string
	Bucket    string
	AccessKey string
	SecretKey string
	Region    string
}

// GatewayAt starts an S3 at a place. It ends with the test.
func GatewayAt(t testing.TB, place netns.Place) Gateway {
	t.Helper()
	program, err := goProgram("versitygw", gatewayModule)
	if err != nil {
		t.Fatalf("install versitygw: %v", err)
	}
	g := Gateway{
		Host: place.Bind, Port: freePort(t), Bucket: bucketName, AccessKey: accessKey, SecretKey: secretKey, Region: "us-east-1",
	}
	address := net.JoinHostPort(g.Host, g.Port)
	endpoint := "http://" + address
	root, sidecar := t.TempDir(), t.TempDir()
	startAt(t, place, endpoint, []string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey}, program,
		"--port", address, "posix", "--sidecar", sidecar, root)
	client := s3.New(s3.Options{
		BaseEndpoint: &endpoint, UsePathStyle: true, Region: g.Region, HTTPClient: visitor(place),
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucketName)}); err != nil {
		t.Fatalf("create the bucket: %v", err)
	}
	return g
}
