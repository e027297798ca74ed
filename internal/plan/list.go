package plan

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// naturalKeys are tried in this order: the first that every item of both lists has, with a value of its own, tells the
// items apart.
func naturalKeys() []string {
	return []string{"name", "containerPort", "mountPath", "devicePath", "port", "key", "ip", "topologyKey", "host", "path", "type", "kind"}
}

// list compares two lists.
func (w *walker) list(at place, old, current []node) {
	for _, key := range naturalKeys() {
		oldNames, wasKeyed := itemNames(old, key)
		newNames, isKeyed := itemNames(current, key)
		if wasKeyed && isKeyed {
			w.keyed(at, old, current, oldNames, newNames)
			return
		}
	}
	w.positional(at, old, current)
}

// itemNames returns the value of key in each item; false where an item has none, or two have the same.
func itemNames(items []node, key string) ([]string, bool) {
	names := make([]string, 0, len(items))
	seen := make(map[string]bool, len(items))
	for _, item := range items {
		fields, ok := item.raw.(map[string]any)
		if !ok {
			return nil, false
		}
		switch fields[key].(type) {
		case nil, map[string]any, []any:
			return nil, false
		}
		name := brief(fields[key])
		if seen[name] {
			return nil, false
		}
		seen[name] = true
		names = append(names, name)
	}
	return names, true
}

func brief(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	return string(raw)
}

func (w *walker) keyed(at place, old, current []node, oldNames, newNames []string) {
	former := make(map[string]int, len(oldNames))
	for i, name := range oldNames {
		former[name] = i
	}
	kept := map[string]bool{}
	var oldOrder, newOrder []string
	for i, name := range newNames {
		before := node{}
		if at, existed := former[name]; existed {
			before, kept[name] = old[at], true
			newOrder = append(newOrder, name)
		}
		w.value(at.item(i, name), before, current[i])
	}
	for i, name := range oldNames {
		if kept[name] {
			oldOrder = append(oldOrder, name)
			continue
		}
		w.value(at.item(i, name), old[i], node{})
	}
	// The order counts: a variable may refer to those before it, and the pods of a template that is only reordered roll.
	if !slices.Equal(oldOrder, newOrder) && !covered(w.generated, at.pointer) {
		w.add(Field{
			Action: Update, Path: at.pointer, Label: at.label + " (order)",
			Old: w.masks.show(strings.Join(oldOrder, ", ")), New: w.masks.show(strings.Join(newOrder, ", ")),
		})
	}
}

// positional compares item by item after what both lists begin and end with, so that an argument put in between is one
// line.
func (w *walker) positional(at place, old, current []node) {
	head := 0
	for head < len(old) && head < len(current) && equal(old[head].raw, current[head].raw) {
		head++
	}
	tail := 0
	for tail < len(old)-head && tail < len(current)-head && equal(old[len(old)-1-tail].raw, current[len(current)-1-tail].raw) {
		tail++
	}
	for i := head; i < max(len(old), len(current))-tail; i++ {
		var before, after node
		if i < len(old)-tail {
			before = old[i]
		}
		if i < len(current)-tail {
			after = current[i]
		}
		w.value(at.item(i, strconv.Itoa(i)), before, after)
	}
}
