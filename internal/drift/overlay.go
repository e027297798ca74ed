package drift

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// prepared returns a copy of the object as Helm applies it: with the label and annotations that it adds to what it stores.
// Without them a dry run would say that the release's own label has to go.
func prepared(object Object, ref Ref, release Release) (map[string]any, error) {
	data, err := json.Marshal(object.Content)
	if err != nil {
		return nil, fmt.Errorf("copy %s: it is no JSON", ref.label(""))
	}
	content := map[string]any{}
	if err := utiljson.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("copy %s: it is no JSON object", ref.label(""))
	}
	content["apiVersion"], content["kind"] = ref.APIVersion, ref.Kind
	delete(content, "status")
	metadata := inner(content, "metadata")
	for _, owned := range []string{"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"} {
		delete(metadata, owned)
	}
	metadata["name"] = ref.Name
	delete(metadata, "namespace")
	if ref.Namespace != "" {
		metadata["namespace"] = ref.Namespace
	}
	inner(metadata, "labels")[managedByLabel] = managedByHelm
	annotations := inner(metadata, "annotations")
	annotations[releaseNameAnnotation], annotations[releaseNamespaceAnnotation] = release.Key.Name, release.Key.Namespace
	return content, nil
}

// inner returns the map at key, which it makes where there is none.
func inner(parent map[string]any, key string) map[string]any {
	if found, ok := parent[key].(map[string]any); ok && found != nil {
		return found
	}
	made := map[string]any{}
	parent[key] = made
	return made
}

func isHook(object Object) bool {
	metadata, _ := object.Content["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	_, found := annotations[hookAnnotation]
	return found
}

// overlay lays what the manifest sets over the live object: what an update has to send where server-side apply does not
// serve. Neither input is changed. A null removes, as it does for Helm.
//
// Of lists, items that the manifest has too keep what was defaulted or allocated in them where keep says so; else the
// manifest's list stands alone. Items of others go either way.
func overlay(live, wanted map[string]any, keep bool) map[string]any {
	merged := runtime.DeepCopyJSON(live)
	for key, value := range wanted {
		if value == nil {
			delete(merged, key)
			continue
		}
		merged[key] = overlayValue(merged[key], value, keep)
	}
	return merged
}

func overlayValue(live, wanted any, keep bool) any {
	switch wanted := wanted.(type) {
	case map[string]any:
		liveMap, _ := live.(map[string]any)
		if liveMap == nil {
			liveMap = map[string]any{}
		}
		return overlay(liveMap, wanted, keep)
	case []any:
		liveList, _ := live.([]any)
		if !keep {
			liveList = nil
		}
		return overlayList(liveList, wanted, keep)
	}
	return wanted
}

func overlayList(live, wanted []any, keep bool) []any {
	key := identity(live, wanted)
	merged := make([]any, len(wanted))
	for i, item := range wanted {
		var former any
		if place := counterpart(live, wanted, i, key); place >= 0 {
			former = live[place]
		}
		if _, isMap := item.(map[string]any); !isMap {
			former = nil
		}
		merged[i] = runtime.DeepCopyJSONValue(overlayValue(former, item, keep))
	}
	return merged
}

// identityKeys tell items of lists apart, in the order in which they are tried.
func identityKeys() []string {
	return []string{"name", "mountPath", "containerPort", "port", "key", "ip", "topologyKey", "type", "path"}
}

// identity returns the first key that every item of both lists has, with a value of its own in each list; "" where there
// is none.
func identity(lists ...[]any) string {
	for _, key := range identityKeys() {
		if !slices.ContainsFunc(lists, func(list []any) bool { return !distinct(list, key) }) {
			return key
		}
	}
	return ""
}

func distinct(list []any, key string) bool {
	seen := map[string]bool{}
	for _, item := range list {
		fields, _ := item.(map[string]any)
		value, found := fields[key]
		text := fmt.Sprint(value)
		if !found || isEmpty(value) || seen[text] {
			return false
		}
		seen[text] = true
	}
	return true
}

// unfolded returns content with stringData of a Secret where the API server puts it.
func unfolded(content map[string]any) map[string]any {
	plain, ok := content["stringData"].(map[string]any)
	if !ok || content["kind"] != "Secret" {
		return content
	}
	content = runtime.DeepCopyJSON(content)
	delete(content, "stringData")
	data := inner(content, "data")
	for key, value := range plain {
		if text, isText := value.(string); isText {
			data[key] = base64.StdEncoding.EncodeToString([]byte(text))
		}
	}
	return content
}

// counterpart returns the place in list of the item that is others[i], or -1.
func counterpart(list, others []any, i int, key string) int {
	if key == "" {
		if len(list) == len(others) {
			return i
		}
		return -1
	}
	fields, _ := others[i].(map[string]any)
	return slices.IndexFunc(list, func(item any) bool {
		candidate, _ := item.(map[string]any)
		return exact(candidate[key], fields[key])
	})
}

// carry copies what is at path of the live object into content, so that applying content leaves it alone. The path counts
// list items as wanted does, which is content after the API server has looked at it. It is false where content has no such
// place.
func carry(content, live, wanted map[string]any, path pointer) bool {
	if content["kind"] == "Secret" && len(path) == 2 && path[0] == "data" {
		// The API server turns stringData into data.
		if plain, ok := content["stringData"].(map[string]any); ok {
			delete(plain, path[1])
		}
	}
	return carryMap(content, live, wanted, path)
}

func carryMap(content, live, wanted map[string]any, path pointer) bool {
	key := path[0]
	if len(path) == 1 {
		value, found := live[key]
		if !found {
			delete(content, key)
			return true
		}
		content[key] = runtime.DeepCopyJSONValue(value)
		return true
	}
	switch liveValue := live[key].(type) {
	case map[string]any:
		wantedMap, _ := wanted[key].(map[string]any)
		return carryMap(inner(content, key), liveValue, wantedMap, path[1:])
	case nil:
		contentMap, isMap := content[key].(map[string]any)
		if !isMap {
			return content[key] == nil
		}
		wantedMap, _ := wanted[key].(map[string]any)
		done := carryMap(contentMap, map[string]any{}, wantedMap, path[1:])
		if len(contentMap) == 0 {
			delete(content, key)
		}
		return done
	case []any:
		contentList, _ := content[key].([]any)
		wantedList, _ := wanted[key].([]any)
		return carryList(contentList, liveValue, wantedList, path[1:])
	}
	return false
}

func carryList(content, live, wanted []any, path pointer) bool {
	place, err := strconv.Atoi(path[0])
	if err != nil || place < 0 || place >= len(live) || place >= len(wanted) {
		return false
	}
	found := counterpart(content, wanted, place, identity(content, wanted))
	if found < 0 {
		return false
	}
	if len(path) == 1 {
		content[found] = runtime.DeepCopyJSONValue(live[place])
		return true
	}
	contentItem, contentIsMap := content[found].(map[string]any)
	liveItem, liveIsMap := live[place].(map[string]any)
	wantedItem, wantedIsMap := wanted[place].(map[string]any)
	return contentIsMap && liveIsMap && wantedIsMap && carryMap(contentItem, liveItem, wantedItem, path[1:])
}
