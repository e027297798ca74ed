package catalog

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// The signed catalog is a repository of The Update Framework. Its top-level targets role holds no target of its own: it
// delegates releases/* to RoleReleases and channels/* to RoleChannels, so that the key of one cannot sign the other.
const (
	// MetadataPath and TargetsPath are where a deploy server serves it.
	MetadataPath = "/catalog/metadata"
	TargetsPath  = "/catalog/targets"

	// RoleReleases signs what was published; RoleChannels signs which release each channel offers.
	RoleReleases = "releases"
	RoleChannels = "channels"
)

// MaxPointerBytes bounds a channel's pointer.
const MaxPointerBytes = 4 << 10

var (
	releaseIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)
	channelForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

// ReleaseTarget is the path of the target that holds a release's SignedBytes, and false where the ID cannot be part of
// a path.
func ReleaseTarget(id string) (string, bool) {
	return RoleReleases + "/" + id + ".json", releaseIDForm.MatchString(id)
}

// ChannelTarget is the path of the target that holds a channel's Pointer, and false where the name cannot be part of a
// path.
func ChannelTarget(name string) (string, bool) {
	return RoleChannels + "/" + name + ".json", channelForm.MatchString(name)
}

// SignedBytes is what the publisher signs of a release: its canonical bytes without the channel that offers it.
func (r *Release) SignedBytes() ([]byte, error) { return r.OfNoChannel().Canonical() }

// Pointer says which release a channel offers.
type Pointer struct {
	Channel   string `json:"channel"`
	ReleaseID string `json:"releaseId"`
	// Sequence grows with every promotion of the server.
	Sequence int64 `json:"sequence"`
}

// Bytes returns the pointer as the target holds it.
func (p Pointer) Bytes() ([]byte, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode channel pointer: %w", err)
	}
	return text, nil
}

// ParsePointer reads what Bytes writes.
func ParsePointer(text []byte) (Pointer, error) {
	var p Pointer
	if err := json.Unmarshal(text, &p); err != nil || p.Channel == "" || p.ReleaseID == "" {
		return Pointer{}, &fault.Error{
			Reason: ReasonMalformedRelease, Op: "parse channel pointer", Err: err,
			Hint: "Report this to the publisher; what is installed stays as it is.",
		}
	}
	return p, nil
}
