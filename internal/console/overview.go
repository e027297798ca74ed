package console

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/kubewandb/kubewandb/api/v1"
)

// eventsShown is how many events the overview holds: about what a person reads.
const eventsShown = 50

// overview is the document that the pages show; its form is in docs/architecture.md. Times are RFC 3339 in UTC or null.
type overview struct {
	Resource   resourceView    `json:"resource"`
	Conditions []conditionView `json:"conditions"`
	Release    releaseView     `json:"release"`
	Channel    channelView     `json:"channel"`
	Pods       []podView       `json:"pods"`
	Events     []eventView     `json:"events"`
	Next       string          `json:"next"`
}

type resourceView struct {
	Name               string     `json:"name"`
	Namespace          string     `json:"namespace"`
	Generation         int64      `json:"generation"`
	ObservedGeneration int64      `json:"observedGeneration"`
	CreatedAt          *time.Time `json:"createdAt"`
}

type conditionView struct {
	Type               string     `json:"type"`
	Status             string     `json:"status"`
	Reason             string     `json:"reason"`
	Message            string     `json:"message"`
	LastTransitionTime *time.Time `json:"lastTransitionTime"`
	// Positive tells whether True is good.
	Positive bool `json:"positive"`
}

type releaseView struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	Chart        string     `json:"chart"`
	ChartVersion string     `json:"chartVersion"`
	Revision     int64      `json:"revision"`
	DeployedAt   *time.Time `json:"deployedAt"`
}

type channelView struct {
	Name      string     `json:"name"`
	Release   string     `json:"release"`
	CheckedAt *time.Time `json:"checkedAt"`
}

type eventView struct {
	Time    *time.Time `json:"time"`
	Type    string     `json:"type"`
	Reason  string     `json:"reason"`
	Object  string     `json:"object"`
	Message string     `json:"message"`
}

// observation is what the watcher has seen: custom resources and events of the whole namespace, and the installation's pods.
type observation struct {
	name, namespace string
	resources       []*apiv1.WeightsAndBiases
	pods            []*corev1.Pod
	events          []*corev1.Event
}

// overview is a function of the observation alone: equal observations give equal documents.
func (o observation) overview() overview {
	view := overview{
		Resource:   resourceView{Name: o.name, Namespace: o.namespace},
		Conditions: []conditionView{},
		Pods:       podViews(o.pods),
		Events:     o.eventViews(),
	}
	resource := o.resource()
	if resource == nil {
		view.Next = "There is no WeightsAndBiases " + o.name + " in namespace " + o.namespace + ". Create it to install W&B Server."
		return view
	}
	view.Resource.Generation = resource.Generation
	view.Resource.ObservedGeneration = resource.Status.ObservedGeneration
	view.Resource.CreatedAt = instant(&resource.CreationTimestamp)
	view.Conditions = conditionViews(resource.Status.Conditions)
	view.Next = resource.Status.NextStep
	if release := resource.Status.Release; release != nil {
		view.Release = releaseView{
			ID: release.ID, Name: release.Name, Chart: release.Chart, ChartVersion: release.ChartVersion,
			Revision: release.Revision, DeployedAt: instant(release.DeployedAt),
		}
	}
	if channel := resource.Status.Channel; channel != nil {
		view.Channel = channelView{Name: channel.Name, Release: cmp.Or(channel.ReleaseName, channel.ReleaseID), CheckedAt: instant(channel.CheckedAt)}
	}
	return view
}

func (o observation) resource() *apiv1.WeightsAndBiases {
	for _, resource := range o.resources {
		if resource.Name == o.name {
			return resource
		}
	}
	return nil
}

func conditionViews(conditions []metav1.Condition) []conditionView {
	views := make([]conditionView, 0, len(conditions))
	for _, c := range conditions {
		views = append(views, conditionView{
			Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: c.Message,
			LastTransitionTime: instant(&c.LastTransitionTime), Positive: positive(c.Type),
		})
	}
	return views
}

// positive tells whether a condition of that type is good when it is True.
func positive(conditionType string) bool {
	switch conditionType {
	case apiv1.ConditionReconciling, apiv1.ConditionStalled, apiv1.ConditionDrifted:
		return false
	}
	return true
}

// eventViews returns the newest events of the installation, newest first, one of each kind and text.
func (o observation) eventViews() []eventView {
	newest := map[eventView]time.Time{}
	for _, event := range o.events {
		if !o.owns(event.InvolvedObject) {
			continue
		}
		key := eventView{
			Type: event.Type, Reason: event.Reason, Message: event.Message,
			Object: event.InvolvedObject.Kind + "/" + event.InvolvedObject.Name,
		}
		if seen, at := newest[key], eventTime(event); at.After(seen) || seen.IsZero() {
			newest[key] = at
		}
	}
	views := make([]eventView, 0, len(newest))
	for view, at := range newest {
		view.Time = instant(&metav1.Time{Time: at})
		views = append(views, view)
	}
	slices.SortFunc(views, newerFirst)
	return views[:min(len(views), eventsShown)]
}

func newerFirst(a, b eventView) int {
	var at, bt time.Time
	if a.Time != nil {
		at = *a.Time
	}
	if b.Time != nil {
		bt = *b.Time
	}
	return cmp.Or(bt.Compare(at), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
}

// owns tells whether an object belongs to the installation. All of them carry the name of the custom resource or begin with
// it; where the names of two installations begin alike ("wandb", "wandb-two"), the longer one wins.
func (o observation) owns(object corev1.ObjectReference) bool {
	if !named(object.Name, o.name) {
		return false
	}
	for _, other := range o.resources {
		if len(other.Name) > len(o.name) && named(object.Name, other.Name) {
			return false
		}
	}
	return true
}

func named(object, installation string) bool {
	return object == installation || strings.HasPrefix(object, installation+"-")
}

func eventTime(event *corev1.Event) time.Time {
	if event.Series != nil && !event.Series.LastObservedTime.IsZero() {
		return event.Series.LastObservedTime.Time
	}
	for _, at := range []time.Time{event.LastTimestamp.Time, event.EventTime.Time, event.FirstTimestamp.Time} {
		if !at.IsZero() {
			return at
		}
	}
	return event.CreationTimestamp.Time
}

// instant gives a time as JSON shows it: UTC, or null where there is none.
func instant(t *metav1.Time) *time.Time {
	if t == nil || t.IsZero() {
		return nil
	}
	utc := t.UTC()
	return &utc
}
