// Package buckets gives tests real object stores on loopback: versitygw, which speaks the protocol of S3, fake-gcs-server for
// Google Cloud Storage, Azurite for Azure Blob Storage, and a local folder.
//
// The first call on a machine builds or installs a store into the user's cache folder, pinned to a version (a minute or two
// each, through the Go module proxy and npm); later calls start it within seconds. Where that is impossible the test fails.
// A store ends with the test that started it.
package buckets
