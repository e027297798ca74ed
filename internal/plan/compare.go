package plan

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kubewandb/kubewandb/internal/redact"
)

// Action says what happens to an object or to a field.
type Action string

// What may happen.
const (
	Add    Action = "Add"
	Update Action = "Change"
	Remove Action = "Remove"
)

// Change is one object that is added, changed or removed.
type Change struct {
	Action     Action `json:"action"`
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Namespace is empty for objects of the cluster.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Hook      bool   `json:"hook,omitempty"`
	// Generated tells that each render gives the object another name.
	Generated bool `json:"generated,omitempty"`
	// Fields that differ, of a changed object.
	Fields []Field `json:"fields,omitempty"`
	// Omitted counts further fields that differ, beyond maxFields.
	Omitted int `json:"omitted,omitempty"`
}

// Object returns kind and name: "Deployment wandb-app".
func (c Change) Object() string { return c.Kind + " " + c.Name }

// Field is one value that differs. Its texts are fit to be shown: credentials are masked.
type Field struct {
	Action Action `json:"action"`
	// Path is a JSON pointer (RFC 6901) into the new object, and for a removed field into the old one.
	Path string `json:"path"`
	// Label is the path as people read it: "spec.template.spec.containers[app].image".
	Label string `json:"label"`
	// Old and New are JSON, cut where long; empty where there is none, or where Hidden or Lines tells about it.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
	// Lines of a text that differ, each with its mark: " ", "+" or "-" in front.
	Lines []string `json:"lines,omitempty"`
	// Hidden tells that the values are credentials, or hashes of them.
	Hidden bool `json:"hidden,omitempty"`
}

const (
	// maxFields bounds what is told about one object: a chart that replaces everything is read object by object.
	maxFields = 200
	// maxValue bounds one shown value, in bytes.
	maxValue = 512
)

// Options of Compare.
type Options struct {
	// Secrets are masked wherever they stand: the credentials of the old values and of the new ones. What Secrets among the
	// objects hold, and variables that are named like credentials, are found without being listed here.
	Secrets []redact.Secret
	// Generated paths are left out.
	Generated Paths
}

// Compare returns what turns before into after, in the order of after; removed objects come last. Lists whose items have a
// natural key (name, containerPort, mountPath, …) are compared item by item.
func Compare(before, after []Object, options Options) []Change {
	return compare(before, after, newMasker(options.Secrets, before, after), options.Generated)
}

func compare(before, after []Object, masks *masker, generated Paths) []Change {
	oldKeys, old := indexed(before)
	newKeys, current := indexed(after)
	var changes []Change
	for _, key := range newKeys {
		object := current[key]
		former, existed := old[key]
		if !existed {
			added := newChange(Add, object)
			added.Generated = generated.whole(key)
			changes = append(changes, added)
			continue
		}
		w := &walker{masks: masks, generated: generated[key]}
		w.object(former, object)
		if len(w.fields) > 0 {
			changed := newChange(Update, object)
			changed.Fields, changed.Omitted = w.fields, w.omitted
			changes = append(changes, changed)
		}
	}
	for _, key := range oldKeys {
		if _, kept := current[key]; !kept {
			changes = append(changes, newChange(Remove, old[key]))
		}
	}
	return changes
}

func newChange(action Action, object Object) Change {
	return Change{
		Action: action, APIVersion: object.APIVersion, Kind: object.Kind,
		Namespace: object.Namespace, Name: object.Name, Hook: object.Hook,
	}
}

// node is a value beside the form in which it may be shown. Both have the same shape.
type node struct{ raw, shown any }

func (n node) key(key string) node {
	raw, _ := n.raw.(map[string]any)
	shown, _ := n.shown.(map[string]any)
	return node{raw[key], shown[key]}
}

func (n node) items() []node {
	raw, shown := listOf(n.raw), listOf(n.shown)
	items := make([]node, len(raw))
	for i := range raw {
		items[i].raw = raw[i]
		if i < len(shown) {
			items[i].shown = shown[i]
		}
	}
	return items
}

// place is where the walker stands.
type place struct{ pointer, label string }

func (p place) key(key string) place {
	label := key
	switch {
	case p.label == "":
	case strings.ContainsAny(key, "./[] "):
		label = p.label + "[" + key + "]"
	default:
		label = p.label + "." + key
	}
	return place{p.pointer + "/" + escape(key), label}
}

func (p place) item(index int, name string) place {
	return place{p.pointer + "/" + strconv.Itoa(index), p.label + "[" + name + "]"}
}

// escape writes a key as one token of a JSON pointer.
func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// walker gathers the fields in which two versions of one object differ.
type walker struct {
	masks     *masker
	generated []string
	// limit bounds fields; zero means maxFields.
	limit   int
	secret  bool
	fields  []Field
	omitted int
}

func (w *walker) object(before, after Object) {
	w.secret = after.isSecret()
	old, current := before.content(), after.content()
	if equal(old, current) {
		return
	}
	w.value(place{}, node{old, w.masks.object(old)}, node{current, w.masks.object(current)})
}

// value compares two values; nil and absent are one, since the API server drops nulls.
func (w *walker) value(at place, old, current node) {
	if equal(old.raw, current.raw) || covered(w.generated, at.pointer) {
		return
	}
	if w.secret && at.pointer == "/data" {
		w.secretData(at, old, current)
		return
	}
	oldMap, wasMap := old.raw.(map[string]any)
	newMap, isMap := current.raw.(map[string]any)
	if wasMap && isMap {
		for _, key := range union(oldMap, newMap) {
			if !ours(at, key) {
				w.value(at.key(key), old.key(key), current.key(key))
			}
		}
		return
	}
	_, wasList := old.raw.([]any)
	_, isList := current.raw.([]any)
	if wasList && isList {
		w.list(at, old.items(), current.items())
		return
	}
	w.leaf(at, old, current)
}

// ours tells whether a field is the operator's own mark.
func ours(at place, key string) bool {
	return key == SecretsAnnotation && strings.HasSuffix(at.pointer, "/metadata/annotations")
}

// secretData tells which keys of a Secret differ, and nothing of their values.
func (w *walker) secretData(at place, old, current node) {
	oldData, _ := old.raw.(map[string]any)
	newData, _ := current.raw.(map[string]any)
	for _, key := range union(oldData, newData) {
		inner := at.key(key)
		if !equal(oldData[key], newData[key]) && !covered(w.generated, inner.pointer) {
			w.add(Field{Action: action(oldData[key], newData[key]), Path: inner.pointer, Label: inner.label, Hidden: true})
		}
	}
}

func (w *walker) leaf(at place, old, current node) {
	field := Field{Action: action(old.raw, current.raw), Path: at.pointer, Label: at.label}
	if isHash(at.label) {
		field.Hidden = true
		w.add(field)
		return
	}
	oldText, wasText := old.shown.(string)
	newText, isText := current.shown.(string)
	if wasText && isText && (strings.Contains(oldText, "\n") || strings.Contains(newText, "\n")) {
		field.Lines = lineDiff(w.masks.text(oldText), w.masks.text(newText))
		field.Hidden = len(field.Lines) == 0
		w.add(field)
		return
	}
	field.Old, field.New = w.masks.show(old.shown), w.masks.show(current.shown)
	if field.Old == field.New {
		field.Old, field.New, field.Hidden = "", "", true
	}
	w.add(field)
}

func (w *walker) add(field Field) {
	if len(w.fields) >= cmp.Or(w.limit, maxFields) {
		w.omitted++
		return
	}
	// A value may stand in a path, as the key of a list's item.
	field.Path, field.Label = w.masks.text(field.Path), w.masks.text(field.Label)
	w.fields = append(w.fields, field)
}

// isHash tells that a field holds a hash over configuration: a short credential in it could be guessed from the hash.
func isHash(label string) bool {
	return strings.Contains(strings.ToLower(label), "checksum")
}

func action(old, current any) Action {
	switch {
	case old == nil:
		return Add
	case current == nil:
		return Remove
	default:
		return Update
	}
}

// equal compares by meaning: null equals absent, 3 equals 3.0.
func equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return false
		}
		for key, value := range x {
			if !equal(value, y[key]) {
				return false
			}
		}
		for key, value := range y {
			if _, known := x[key]; !known && value != nil {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, equal)
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	if a == b {
		return true
	}
	x, isNumber := number(a)
	y, alsoNumber := number(b)
	return isNumber && alsoNumber && x == y
}

func number(value any) (float64, bool) {
	switch v := value.(type) {
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	case float64:
		return v, true
	default:
		return 0, false
	}
}

func union(a, b map[string]any) []string {
	keys := slices.Collect(maps.Keys(a))
	for key := range b {
		if _, known := a[key]; !known {
			keys = append(keys, key)
		}
	}
	// apiVersion, kind, metadata, spec: the alphabet happens to be the order in which people write them.
	slices.SortFunc(keys, func(x, y string) int { return cmp.Compare(x, y) })
	return keys
}
