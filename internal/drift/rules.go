package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// secretsAnnotation is set by the operator on pod templates, when a Secret that they use changes.
const secretsAnnotation = "kubewandb.io/secrets"

// rules say which differences of one object are nobody's business.
type rules struct {
	kind    string
	whole   bool
	ignored []pointer
}

// rulesFor gathers what applies to one object: the declared rules, and what was generated when it was rendered.
func rulesFor(ref Ref, release Release) rules {
	found := rules{kind: ref.Kind}
	for _, rule := range release.Ignore {
		if rule.Kind != "" && !strings.EqualFold(rule.Kind, ref.Kind) || rule.Name != "" && rule.Name != ref.Name {
			continue
		}
		found.whole = found.whole || len(rule.Paths) == 0
		found.add(rule.Paths)
	}
	found.add(release.Generated[ref])
	if ref.Namespace == release.Key.Namespace {
		short := ref
		short.Namespace = ""
		found.add(release.Generated[short])
	}
	return found
}

// add takes over paths. What is no JSON pointer matches nothing.
func (r *rules) add(paths []string) {
	for _, text := range paths {
		path, err := parsePointer(text)
		if err != nil {
			continue
		}
		r.ignored = append(r.ignored, path)
		if r.kind == "Secret" && len(path) > 0 && path[0] == "stringData" {
			r.ignored = append(r.ignored, append(pointer{"data"}, path[1:]...))
		}
	}
}

// match tells whether a difference at path is to be ignored.
func (r *rules) match(path pointer) bool {
	return slices.ContainsFunc(r.ignored, path.below) || isOthersBusiness(r.kind, path)
}

// isOthersBusiness knows the fields that controllers of the cluster write into objects of others.
func isOthersBusiness(kind string, path pointer) bool {
	if len(path) >= 3 && path[len(path)-3] == "metadata" && path[len(path)-2] == "annotations" && path[len(path)-1] == secretsAnnotation {
		return true
	}
	if len(path) == 3 && path[0] == "metadata" && path[1] == "annotations" && isCoincidental(path[2]) {
		return true
	}
	last := ""
	if len(path) > 0 {
		last = path[len(path)-1]
	}
	switch kind {
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "CustomResourceDefinition", "APIService":
		return last == "caBundle"
	case "Service":
		return len(path) >= 2 && path[0] == "spec" && (path[1] == "clusterIP" || path[1] == "clusterIPs")
	case "PersistentVolumeClaim":
		return path.below(pointer{"spec", "volumeName"})
	}
	return false
}

// isCoincidental tells annotations that controllers and command lines keep for themselves.
func isCoincidental(annotation string) bool {
	return annotation == "deployment.kubernetes.io/revision" || annotation == "kubectl.kubernetes.io/last-applied-configuration"
}

// digest of all that decides what is ignored: when it changes, earlier findings count no more.
func digest(ignore []appsv1.DriftRule, generated map[Ref][]string) string {
	type pair struct {
		Ref   Ref
		Paths []string
	}
	pairs := make([]pair, 0, len(generated))
	for ref, paths := range generated {
		pairs = append(pairs, pair{ref, paths})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return strings.Compare(a.Ref.APIVersion+"\n"+a.Ref.label(""), b.Ref.APIVersion+"\n"+b.Ref.label(""))
	})
	data, err := json.Marshal([]any{ignore, pairs})
	if err != nil {
		return "" // strings always marshal
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
