package plan

import (
	"slices"
	"strings"
)

// Image is a container whose image changes.
type Image struct {
	// Object is kind and name: "Deployment wandb-app".
	Object    string `json:"object"`
	Container string `json:"container"`
	// From is empty for a container that is new, To for one that goes. Both hold the digest where the chart names one.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Restart is a workload whose pods are replaced.
type Restart struct {
	// Object is kind and name: "Deployment wandb-app".
	Object string `json:"object"`
	// Why names what in the pod template changes, briefly.
	Why string `json:"why,omitempty"`
}

// PodTemplate returns the pod template of a workload, Job, CronJob or Pod; false for other kinds.
func PodTemplate(object Object) (map[string]any, bool) {
	var path []string
	switch object.Kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job":
		path = []string{"spec", "template"}
	case "CronJob":
		path = []string{"spec", "jobTemplate", "spec", "template"}
	case "Pod":
	default:
		return nil, false
	}
	template, ok := within(object.Content, path...).(map[string]any)
	return template, ok
}

// IsWorkload tells whether the object keeps pods running and replaces them when its template changes.
func IsWorkload(object Object) bool {
	group, _, _ := strings.Cut(object.APIVersion, "/")
	return !object.Hook && group == "apps" && slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, object.Kind)
}

// Images returns the images that change, in the order of after; those of objects that are added or removed as a whole
// count too.
func Images(before, after []Object) []Image { return images(before, after, &masker{}) }

func images(before, after []Object, masks *masker) []Image {
	oldKeys, old := indexed(before)
	newKeys, current := indexed(after)
	var result []Image
	for _, key := range followedBy(newKeys, oldKeys) {
		object := current[key]
		if object.Kind == "" {
			object = old[key]
		}
		names, from := containerImages(old[key])
		newNames, to := containerImages(current[key])
		for _, name := range followedBy(newNames, names) {
			if from[name] != to[name] {
				result = append(result, Image{
					Object: object.String(), Container: name, From: masks.image(from[name]), To: masks.image(to[name]),
				})
			}
		}
	}
	return result
}

// containerImages returns the containers in their order, and their images.
func containerImages(object Object) ([]string, map[string]string) {
	template, ok := PodTemplate(object)
	if !ok {
		return nil, nil
	}
	var names []string
	found := map[string]string{}
	for _, list := range []string{"initContainers", "containers"} {
		for _, item := range listOf(within(template, "spec", list)) {
			container, _ := item.(map[string]any)
			if name := textOf(container["name"]); name != "" {
				names = append(names, name)
				found[name] = textOf(container["image"])
			}
		}
	}
	return names, found
}

// Restarts returns the workloads of both whose pod template changes, generated fields included: what the chart draws anew
// rolls pods as surely as anything else.
func Restarts(before, after []Object) []Restart { return restarts(before, after, &masker{}) }

func restarts(before, after []Object, masks *masker) []Restart {
	_, old := indexed(before)
	keys, current := indexed(after)
	var result []Restart
	for _, key := range keys {
		former, existed := old[key]
		object := current[key]
		if !existed || !IsWorkload(object) || !replacesPods(object) {
			continue
		}
		was, _ := PodTemplate(former)
		is, _ := PodTemplate(object)
		if !equal(was, is) {
			result = append(result, Restart{Object: object.String(), Why: why(was, is, masks)})
		}
	}
	return result
}

// replacesPods leaves out workloads that have no pods, or whose pods somebody replaces by hand.
func replacesPods(object Object) bool {
	count, set := number(within(object.Content, "spec", "replicas"))
	return (!set || count != 0) && textOf(within(object.Content, "spec", "updateStrategy", "type")) != "OnDelete"
}

// why names what differs in two pod templates.
func why(was, is map[string]any, masks *masker) string {
	const few = 3
	w := &walker{masks: masks}
	w.value(place{}, node{was, was}, node{is, is})
	if !equal(mark(was), mark(is)) {
		return "a Secret that it uses changed"
	}
	var labels []string
	for _, field := range w.fields {
		label := strings.TrimPrefix(field.Label, "spec.")
		if !slices.Contains(labels, label) {
			labels = append(labels, label)
		}
	}
	if len(labels) > few {
		labels = append(labels[:few], "…")
	}
	return strings.Join(labels, ", ")
}

func mark(template map[string]any) any {
	return within(template, "metadata", "annotations", SecretsAnnotation)
}

// SecretsUsed returns the names of Secrets that the pods of an object refer to in their environment and volumes, in their
// order, each once. Pull secrets do not count: they matter when a pod starts and not while it runs.
func SecretsUsed(object Object) []string {
	template, ok := PodTemplate(object)
	if !ok {
		return nil
	}
	var names []string
	use := func(name any) {
		if text := textOf(name); text != "" && !slices.Contains(names, text) {
			names = append(names, text)
		}
	}
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		for _, item := range listOf(within(template, "spec", list)) {
			container, _ := item.(map[string]any)
			for _, variable := range listOf(container["env"]) {
				fields, _ := variable.(map[string]any)
				use(within(fields, "valueFrom", "secretKeyRef", "name"))
			}
			for _, source := range listOf(container["envFrom"]) {
				fields, _ := source.(map[string]any)
				use(within(fields, "secretRef", "name"))
			}
		}
	}
	for _, item := range listOf(within(template, "spec", "volumes")) {
		volume, _ := item.(map[string]any)
		use(within(volume, "secret", "secretName"))
		for _, source := range listOf(within(volume, "projected", "sources")) {
			fields, _ := source.(map[string]any)
			use(within(fields, "secret", "name"))
		}
	}
	return names
}

// Scaled returns the keys of objects whose replicas an autoscaler among objects sets.
func Scaled(objects []Object) map[string]bool {
	scaled := map[string]bool{}
	for _, object := range objects {
		if object.Kind != "HorizontalPodAutoscaler" {
			continue
		}
		target, _ := within(object.Content, "spec", "scaleTargetRef").(map[string]any)
		scaled[Object{
			APIVersion: textOf(target["apiVersion"]), Kind: textOf(target["kind"]),
			Namespace: object.Namespace, Name: textOf(target["name"]),
		}.Key()] = true
	}
	return scaled
}
