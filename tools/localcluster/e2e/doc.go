// Package e2e tests the whole of localcluster: real clusters, by the command
// line, as users run it. It needs root and minutes, so it runs only where
// LOCALCLUSTER_E2E=1 asks for it.
package e2e
