// Package version names the build that is running. The release build sets Version with
// -ldflags "-X github.com/kubewandb/kubewandb/internal/version.Version=1.2.3".
package version

// Version is the semantic version of this build, without a leading "v".
var Version = "0.0.0-dev"

// UserAgent is what a program of ours calls itself in outgoing requests, for example
// "kubewandb-controller-manager/1.2.3".
func UserAgent(program string) string {
	return "kubewandb-" + program + "/" + Version
}
