// Package blob keeps bytes: in S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage, or a local folder,
// all behind one Bucket.
//
// Clients move large bytes themselves, by signed URLs that go straight to the store. A folder signs its own, which Handler
// serves. A key is any text; the store sees a name made of ASCII letters, digits and "-._/=", so that no store, proxy or
// file system can take two keys for one.
//
// What was put is on stable storage when Put, or the PUT of a signed URL, has answered.
package blob
