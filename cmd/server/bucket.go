package main

import (
	"github.com/spf13/pflag"

	"github.com/kubewandb/kubewandb/internal/server/blob"
)

// bucketFlags are those that say where objects are kept.
func bucketFlags(f *pflag.FlagSet, cfg *blob.Config) {
	f.Var((*secret)(&cfg.URL), "bucket", "where objects are kept: s3://bucket/path, s3://key:secret@host:port/bucket, gs://bucket, az://account/container; "+
		"empty means the folder files in --data-dir")
	f.Var((*secret)(&cfg.AccessKey), "bucket-access-key", "access key of S3; without keys the identity of the machine or pod is used")
	f.Var((*secret)(&cfg.SecretKey), "bucket-secret-key", "secret key of S3, or key of the storage account of Azure; better as a variable")
	f.StringVar(&cfg.Region, "bucket-region", "", "region of the bucket")
	f.StringVar(&cfg.KMSKey, "bucket-kms-key", "", "key of KMS that encrypts objects in S3; empty leaves that to the bucket")
	f.StringVar(&cfg.Endpoint, "bucket-endpoint", "", "URL of the store, where it is not the provider's own")
	f.StringVar(&cfg.ExternalEndpoint, "bucket-external-url", "", "URL of the store as clients and browsers reach it, where that is another one")
	f.StringVar(&cfg.CredentialsFile, "bucket-credentials-file", "", "JSON key of a service account of Google; without it Workload Identity is used")
}
