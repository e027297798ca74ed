package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Inputs is all that a plan follows from. Two plans with equal inputs are one plan, whatever a chart draws at random.
type Inputs struct {
	// ChartDigest is "sha256:…" of the chart's archive.
	ChartDigest string `json:"chart"`
	// Values is an HMAC of the resolved values. A plain hash would let short credentials be guessed.
	Values string `json:"values"`
	// Kubernetes is the version of the API server: "v1.35.4".
	Kubernetes string `json:"kubernetes"`
	// APIs is a digest of the list of APIs, which charts may ask for.
	APIs string `json:"apis"`
	// Renderer is the version of what renders.
	Renderer string `json:"renderer"`
	// Secrets is an HMAC of the Secrets that pods use; empty where there are none.
	Secrets string `json:"secrets,omitempty"`
}

// Digest names the plan that follows from inputs: "sha256:" and 64 hexadecimal digits.
func Digest(inputs Inputs) string {
	sum := sha256.New()
	for _, one := range []struct{ name, value string }{
		{"chart", inputs.ChartDigest}, {"values", inputs.Values}, {"kubernetes", inputs.Kubernetes},
		{"apis", inputs.APIs}, {"renderer", inputs.Renderer}, {"secrets", inputs.Secrets},
	} {
		_, _ = fmt.Fprintf(sum, "%s %d %s\n", one.name, len(one.value), one.value) // a hash takes everything
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
