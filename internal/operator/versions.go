package operator

import (
	"github.com/Masterminds/semver/v3"
)

// exactVersion tells a version from a range of versions, and from none.
func exactVersion(version string) bool {
	_, err := semver.NewVersion(version)
	if err != nil {
		return false
	}
	// "1" and "1.2" read as versions, and mean ranges in Helm.
	_, err = semver.StrictNewVersion(trimV(version))
	return err == nil
}

func trimV(version string) string {
	if len(version) > 1 && version[0] == 'v' {
		return version[1:]
	}
	return version
}
