package operator

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/request"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// pinKey in the values of the user layer names the one release to follow.
const pinKey = "_releaseId"

// frequencyKey in the values replaces DefaultPeriod.
const frequencyKey = "reconcileFrequency"

// resourceLayer reads the highest layer from the resource itself.
func resourceLayer(cr *appsv1.WeightsAndBiases) (spec.Layer, error) {
	values, err := cr.Spec.Values.Map()
	if err != nil {
		return spec.Layer{}, unreadable("spec.values", err)
	}
	chart, err := cr.Spec.Chart.Map()
	if err != nil {
		return spec.Layer{}, unreadable("spec.chart", err)
	}
	return spec.Layer{Name: spec.LayerResource, Values: values, Chart: chart, Unset: cr.Spec.Unset}, nil
}

func unreadable(field string, cause error) error {
	return &fault.Error{
		Reason: appsv1.ReasonLayerInvalid, Op: "read " + field, Err: cause, Hint: field + " must be an object.",
	}
}

// channelLayer is the layer that a release of the deploy server makes; nil makes an empty one.
func channelLayer(release *catalog.Release) spec.Layer {
	if release == nil {
		return spec.Layer{Name: spec.LayerChannel}
	}
	return spec.Layer{Name: spec.LayerChannel, Values: release.Values, Chart: release.Chart, Metadata: release.Metadata}
}

// userLayer reads Secret <cr>-spec-user: the layer and what people asked for beside it. An absent Secret is an empty layer.
func userLayer(ctx context.Context, reader client.Reader, key types.NamespacedName) (spec.Layer, request.Set, error) {
	name := key.Name + userSuffix
	data, err := secretData(ctx, reader, types.NamespacedName{Namespace: key.Namespace, Name: name})
	if err != nil || data == nil {
		return spec.Layer{Name: spec.LayerUser}, request.Set{}, err
	}
	layer, err := spec.Decode(spec.LayerUser, data)
	if err != nil {
		return layer, request.Set{}, fmt.Errorf("read Secret %s: %w", name, err)
	}
	asked, err := request.Decode(data)
	if err != nil {
		return layer, request.Set{}, fmt.Errorf("read Secret %s: %w", name, err)
	}
	return layer, asked, nil
}

// secretData returns the content of a Secret, or nil where there is none.
func secretData(ctx context.Context, reader client.Reader, name types.NamespacedName) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	err := reader.Get(ctx, name, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Secret %s: %w", name.Name, err)
	}
	if secret.Data == nil {
		return map[string][]byte{}, nil
	}
	return secret.Data, nil
}

// text returns the string at a path of maps, or "" where there is none.
func text(values map[string]any, path ...string) string {
	var current any = values
	for _, key := range path {
		fields, ok := current.(map[string]any)
		if !ok {
			return ""
		}
		current = fields[key]
	}
	found, _ := current.(string)
	return found
}

// period returns how often to look at a resource when nothing happens, and a warning where the values say it wrongly.
func period(values map[string]any) (time.Duration, string) {
	const shortest = 10 * time.Second
	said := text(values, frequencyKey)
	if said == "" {
		return DefaultPeriod, ""
	}
	wanted, err := time.ParseDuration(said)
	if err != nil || wanted < shortest {
		return DefaultPeriod, fmt.Sprintf("%s: %q is not a duration of at least %s; %s is used", frequencyKey, said, shortest, DefaultPeriod)
	}
	return wanted, ""
}

// sourceDigest names a chart's description, so that a chart need not be fetched to see that it is the same.
func sourceDigest(fields map[string]any) string {
	if len(fields) == 0 {
		return ""
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// specDigest names chart and values. It is keyed, because values hold passwords that could be guessed from a plain hash.
func specDigest(key []byte, resolved *spec.Resolved, version string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(resolved.Digest() + "\n" + version))
	return "sha256:" + hex.EncodeToString(mac.Sum(nil))
}

// activeData is what Secret <cr>-spec-active holds of the specification.
func activeData(resolved *spec.Resolved) (map[string][]byte, error) {
	data, err := spec.Encode(spec.Layer{
		Name: "active", Values: resolved.Values, Chart: resolved.ChartFields, Metadata: resolved.Metadata,
	})
	if err != nil {
		return nil, fmt.Errorf("encode specification: %w", err)
	}
	origins, err := json.Marshal(resolved.Origins)
	if err != nil {
		return nil, fmt.Errorf("encode origins: %w", err)
	}
	data["origins"] = origins
	return data, nil
}
