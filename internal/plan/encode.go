package plan

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// Keys of Secret <cr>-plan.
const (
	// PlanKey holds the plan, values masked: gzip of JSON.
	PlanKey = "plan"
	// ManifestKey holds the rendered text with its credentials, hooks included: gzip of YAML.
	ManifestKey = "manifest"
)

const (
	// MaxEncoded is how large all keys together may be. The API server takes 1 MiB of a Secret, metadata included.
	MaxEncoded = 900 << 10

	// maxPlan and maxManifest bound what is unpacked: a few kilobytes of gzip can hold gigabytes.
	maxPlan     = 16 << 20
	maxManifest = 32 << 20
)

// Encode returns the data of Secret <cr>-plan. rendered is the exact text that applying the plan applies. A chart that is
// too large is a fault ChartInvalid.
func Encode(plan *Plan, rendered string) (map[string][]byte, error) {
	stored := *plan
	stored.Manifest = digestOf([]byte(rendered))
	raw, err := json.Marshal(&stored)
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	if len(raw) > maxPlan || len(rendered) > maxManifest {
		return nil, tooLarge(max(len(raw), len(rendered)))
	}
	data := map[string][]byte{}
	total := 0
	for key, content := range map[string][]byte{PlanKey: raw, ManifestKey: []byte(rendered)} {
		if data[key], err = pack(content); err != nil {
			return nil, fmt.Errorf("pack plan: %w", err)
		}
		total += len(key) + len(data[key])
	}
	if total > MaxEncoded {
		return nil, tooLarge(total)
	}
	return data, nil
}

func tooLarge(size int) error {
	return &fault.Error{
		Reason: appsv1.ReasonChartInvalid,
		Op:     "store the plan",
		Hint:   "What the chart renders does not fit into a Secret. Move certificate bundles and other large texts into ConfigMaps of your own.",
		Err:    fmt.Errorf("%d bytes, at most %d are possible", size, MaxEncoded),
	}
}

// Decode reads what Encode wrote: the plan, and the text to apply. Anything else is a fault InternalError, upon which a
// plan is made anew.
func Decode(data map[string][]byte) (*Plan, string, error) {
	raw, err := unpack(data[PlanKey], maxPlan)
	if err != nil {
		return nil, "", unreadable(PlanKey, err)
	}
	var plan Plan
	if err := json.Unmarshal(raw, &plan); err != nil {
		// The decoder's error may repeat what it read.
		return nil, "", unreadable(PlanKey, errors.New("not the JSON of a plan"))
	}
	if plan.Digest != Digest(plan.Inputs) {
		return nil, "", unreadable(PlanKey, errors.New("its digest is not that of its inputs"))
	}
	rendered, err := unpack(data[ManifestKey], maxManifest)
	if err != nil {
		return nil, "", unreadable(ManifestKey, err)
	}
	if plan.Manifest != digestOf(rendered) {
		return nil, "", unreadable(ManifestKey, errors.New("the text belongs to another plan"))
	}
	return &plan, string(rendered), nil
}

func unreadable(key string, err error) error {
	return &fault.Error{
		Reason: appsv1.ReasonInternalError,
		Op:     "read key " + key + " of the plan's Secret",
		Hint:   "Delete the Secret; the plan is made anew.",
		Err:    err,
	}
}

func pack(content []byte) ([]byte, error) {
	var b bytes.Buffer
	// The header carries no time: equal plans are equal bytes, and writing one again changes nothing.
	writer, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = writer.Write(content)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return b.Bytes(), nil
}

func unpack(packed []byte, limit int64) ([]byte, error) {
	if len(packed) == 0 {
		return nil, errors.New("the key is absent")
	}
	if len(packed) > MaxEncoded {
		return nil, fmt.Errorf("more than %d bytes", MaxEncoded)
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(reader, limit+1))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("more than %d bytes when unpacked", limit)
	}
	return content, nil
}
