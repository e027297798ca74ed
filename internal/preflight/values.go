package preflight

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubewandb/kubewandb/internal/redact"
)

// section returns the map at a path of keys; nil where there is none.
func section(values map[string]any, path ...string) map[string]any {
	for _, key := range path {
		values, _ = values[key].(map[string]any)
	}
	return values
}

// text returns the scalar at a path of keys as a text; empty where there is none.
func text(values map[string]any, path ...string) string {
	if len(path) == 0 {
		return ""
	}
	last := len(path) - 1
	return strings.TrimSpace(scalar(section(values, path[:last]...)[path[last]]))
}

func scalar(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64) // a port must not become 3.306e+03
	case bool, int, int32, int64:
		return fmt.Sprint(value)
	default:
		return ""
	}
}

// flag returns the boolean at a key, or fallback.
func flag(values map[string]any, key string, fallback bool) bool {
	if value, ok := values[key].(bool); ok {
		return value
	}
	return fallback
}

// reference is a key of a Secret or ConfigMap that values point at.
type reference struct {
	kind, name, key string
	optional        bool
}

func (f reference) String() string { return fmt.Sprintf("key %q of %s %s", f.key, f.kind, f.name) }

// referenceIn reads {valueFrom: {secretKeyRef: …}} or its content.
func referenceIn(value any) (reference, bool) {
	fields, ok := value.(map[string]any)
	if !ok {
		return reference{}, false
	}
	if inner, ok := fields["valueFrom"].(map[string]any); ok {
		fields = inner
	}
	for field, kind := range map[string]string{"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"} {
		if ref, ok := fields[field].(map[string]any); ok {
			return reference{kind: kind, name: text(ref, "name"), key: text(ref, "key"), optional: flag(ref, "optional", false)}, true
		}
	}
	return reference{}, false
}

// unresolved is a value that is not there, or could not be read.
type unresolved struct {
	// path of the value, for people.
	path string
	ref  reference
	err  error
}

func (u *unresolved) Error() string { return fmt.Sprintf("%s: read %s: %v", u.path, u.ref, u.err) }
func (u *unresolved) Unwrap() error { return u.err }

// check turns the error into what it means: a right that is missing is no finding, a Secret that is missing is one.
func (u *unresolved) check(name, namespace string) Check {
	resource := strings.ToLower(u.ref.kind) + "s"
	switch {
	case apierrors.IsForbidden(u.err):
		return skipped(name, "needs: get %s", resource)
	case apierrors.IsNotFound(u.err) && u.ref.kind == "Secret":
		return failed(name, "%s names %s, which is not there. Run `kubectl create secret generic %s -n %s --from-literal=%s=<value>`, or mend %s.",
			u.path, u.ref, u.ref.name, namespace, u.ref.key, u.path)
	case apierrors.IsNotFound(u.err):
		return failed(name, "%s names %s, which is not there. Make it, or mend %s.", u.path, u.ref, u.path)
	default:
		return skipped(name, "%s could not be read: %v", u.ref, u.err)
	}
}

// setting returns a value that may be a scalar or a reference to one. The error is always an *unresolved.
func (r *run) setting(ctx context.Context, path string, value any) (string, *unresolved) {
	if fields, ok := value.(map[string]any); ok {
		if plain, ok := fields["value"]; ok {
			return scalar(plain), nil
		}
	}
	ref, ok := referenceIn(value)
	if !ok {
		return scalar(value), nil
	}
	return r.follow(ctx, path, ref)
}

func (r *run) follow(ctx context.Context, path string, ref reference) (string, *unresolved) {
	var found string
	var err error
	if ref.kind == "Secret" {
		var secret redact.Secret
		secret, err = r.Keys.SecretKey(ctx, ref.name, ref.key)
		found = secret.Reveal()
		r.learn(secret)
	} else {
		found, err = r.Keys.ConfigMapKey(ctx, ref.name, ref.key)
	}
	if apierrors.IsNotFound(err) && ref.optional {
		return "", nil
	}
	if err != nil {
		return "", &unresolved{path: path, ref: ref, err: err}
	}
	return found, nil
}
