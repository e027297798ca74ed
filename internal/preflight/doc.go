// Package preflight looks, before a release is installed or upgraded, whether the cluster and what stands around it offer
// what the release needs: a version of Kubernetes, classes for Ingress and volumes, a database, a bucket, a licence, room
// on nodes, and the way out to deploy server and charts.
//
// Run does all of it and needs nothing but an Input; operator, console and command line call it alike. What is asked
// follows from the values: a check that they give no reason for costs no request. Apart from one small object in the
// bucket, which it removes again, Run writes nothing. No message holds a credential.
//
// docs/reference/preflight.md has a table of every check: what it asks, which level its findings have, and what mends them.
package preflight
