package kubectl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/request"
)

// statusView is the JSON of "status". It leaves the specification out, which holds credentials.
type statusView struct {
	Name       string                        `json:"name"`
	Namespace  string                        `json:"namespace"`
	Generation int64                         `json:"generation"`
	Requests   *request.Set                  `json:"requests,omitempty"`
	Status     appsv1.WeightsAndBiasesStatus `json:"status"`
}

func (p *plugin) status(ctx context.Context, name string, watching bool) error {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	if err := p.showStatus(ctx, resource); err != nil || !watching {
		return err
	}
	shown := resource.ResourceVersion
	err = p.follow(ctx, resource.Name, func(resource *appsv1.WeightsAndBiases) (bool, error) {
		if resource.ResourceVersion == shown {
			return false, nil
		}
		shown = resource.ResourceVersion
		if p.output == formatText {
			// A terminal shows one page at a time; a file keeps all of them.
			if err := p.write(map[bool]string{true: "\x1b[H\x1b[2J", false: "\n"}[p.streams.Color]); err != nil {
				return false, err
			}
		}
		return false, p.showStatus(ctx, resource)
	})
	if ctx.Err() != nil { // whoever watches has seen enough
		return nil
	}
	return err
}

func (p *plugin) showStatus(ctx context.Context, resource *appsv1.WeightsAndBiases) error {
	view := statusView{Name: resource.Name, Namespace: resource.Namespace, Generation: resource.Generation, Status: resource.Status}
	// Whoever may not read Secrets still sees the rest.
	if secret, err := p.secret(ctx, resource.Name+userSuffix); err == nil && secret != nil {
		if set, err := request.Decode(secret.Data); err == nil {
			view.Requests = &set
		}
	}
	return p.print(view, func() string { return statusText(view, p.streams.Now(), p.paint()) })
}

// page is a text for people under construction.
type page struct {
	strings.Builder
	paint
	now time.Time
}

func (b *page) heading(text string) { b.WriteString("\n" + b.in(bold, text) + "\n") }

func statusText(view statusView, now time.Time, colors paint) string {
	b := &page{paint: colors, now: now}
	status := view.Status
	b.WriteString(b.in(bold, fmt.Sprintf("W&B Server %s in namespace %s", view.Name, view.Namespace)) + "\n\n")
	b.facts(view)
	b.conditions(status.Conditions)
	b.lastError(status.LastError)
	b.openChecks("Checks that did not pass", status.Preflight, status.Verification)
	b.drift(status.Drift)
	b.history(status.History)
	if len(status.Warnings) > 0 {
		b.heading("Warnings")
		for _, warning := range status.Warnings {
			b.WriteString("  " + clean(warning) + "\n")
		}
	}
	return b.String()
}

func (b *page) facts(view statusView) {
	status := view.Status
	facts := &table{}
	facts.add("Runs", runs(status.Release, b.now))
	if channel := status.Channel; channel != nil {
		available := cmp.Or(channel.ReleaseName, channel.ReleaseID, "nothing")
		if channel.Name != "" {
			available += " (channel " + channel.Name + ")"
		}
		facts.add("Available", available)
	}
	next := cmp.Or(status.NextStep, "not known yet")
	if status.NextStepAt != nil {
		next += ", " + due(status.NextStepAt.Time, b.now)
	}
	facts.add("Next", next)
	if plan := status.Plan; plan != nil {
		facts.add("Plan", planLine(plan))
		if len(plan.Restarts) > 0 {
			facts.add("", "replaces the pods of "+strings.Join(plan.Restarts, ", "))
		}
		if plan.Schema != "" {
			facts.add("", "database: "+plan.Schema)
		}
	}
	for _, asked := range requestLines(view.Requests, b.now) {
		facts.add("Asked", asked)
	}
	if layers := layersLine(status.Layers); layers != "" {
		facts.add("Values", layers)
	}
	if status.ObservedGeneration < view.Generation {
		facts.add("Note", "the operator has not seen the newest change of the resource yet")
	}
	facts.write(&b.Builder, "  ")
}

func runs(release *appsv1.ReleaseStatus, now time.Time) string {
	if release == nil {
		return "nothing yet"
	}
	chart := strings.TrimSpace(release.Chart + " " + release.ChartVersion)
	text := cmp.Or(release.Name, release.ID)
	switch {
	case text == "":
		text = chart
	case chart != "":
		text += " (" + chart + ")"
	}
	if release.Revision > 0 {
		text += fmt.Sprintf(", revision %d", release.Revision)
	}
	if release.DeployedAt != nil {
		text += ", deployed " + due(release.DeployedAt.Time, now)
	}
	return text
}

func planLine(plan *appsv1.PlanStatus) string {
	text := short(plan.Digest)
	if to := cmp.Or(plan.Release, plan.ChartVersion); to != "" {
		text += " to " + to
	}
	text += fmt.Sprintf(": %d to add, %d to change, %d to remove", plan.Added, plan.Changed, plan.Removed)
	if plan.Adoption {
		text += "; takes over a Helm release that somebody else made"
	}
	if plan.Approved {
		text += "; approved"
	}
	return text
}

// short is a digest as people type it.
func short(digest string) string {
	const letters = 12
	digest = strings.TrimPrefix(digest, "sha256:")
	return digest[:min(len(digest), letters)]
}

func requestLines(set *request.Set, now time.Time) []string {
	if set == nil {
		return nil
	}
	var lines []string
	add := func(what string, mark request.Mark) {
		lines = append(lines, fmt.Sprintf("%s, by %s %s", what, cmp.Or(mark.By, "somebody"), due(mark.At, now)))
	}
	if set.Suspend != nil {
		add("suspend", *set.Suspend)
	}
	if set.Pin != nil {
		add("pin "+cmp.Or(set.Pin.Release, "what runs"), set.Pin.Mark)
	}
	if set.Approve != nil {
		add("apply plan "+short(set.Approve.Plan), set.Approve.Mark)
	}
	if set.Rollback != nil {
		what := fmt.Sprintf("roll back to revision %d", set.Rollback.Revision)
		if set.Rollback.Unsafe {
			what += " though it may be unsafe"
		}
		add(what, set.Rollback.Mark)
	}
	if set.Retry != nil {
		add("try again", *set.Retry)
	}
	if set.Force != nil {
		add("apply now", *set.Force)
	}
	return lines
}

func layersLine(layers []appsv1.LayerStatus) string {
	parts := make([]string, 0, len(layers))
	for _, layer := range layers {
		part := fmt.Sprintf("%s %d", layer.Name, layer.Sets)
		if layer.Shadowed > 0 {
			part += fmt.Sprintf(" (and %d in vain)", layer.Shadowed)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// conditionOrder is the order in which a reader asks; what it does not name comes last.
func conditionOrder(kind string) int {
	order := []string{
		appsv1.ConditionReady, appsv1.ConditionReconciling, appsv1.ConditionStalled, appsv1.ConditionLicenseValid,
		appsv1.ConditionChannelReachable, appsv1.ConditionSpecResolved, appsv1.ConditionPreflight, appsv1.ConditionReleased,
		appsv1.ConditionUpToDate, appsv1.ConditionVerified, appsv1.ConditionDrifted,
	}
	if at := slices.Index(order, kind); at >= 0 {
		return at
	}
	return len(order)
}

func conditionMark(condition metav1.Condition) string {
	unwanted := condition.Type == appsv1.ConditionStalled || condition.Type == appsv1.ConditionDrifted
	switch {
	case condition.Status == metav1.ConditionUnknown:
		return open
	case condition.Type == appsv1.ConditionReconciling:
		if condition.Status == metav1.ConditionTrue { // neither good nor bad
			return open
		}
		return good
	case unwanted == (condition.Status == metav1.ConditionFalse):
		return good
	default:
		return bad
	}
}

func (b *page) conditions(conditions []metav1.Condition) {
	if len(conditions) == 0 {
		b.WriteString("\nThe operator has not looked at this resource yet.\n")
		return
	}
	b.heading("Conditions")
	sorted := slices.Clone(conditions)
	slices.SortStableFunc(sorted, func(a, c metav1.Condition) int {
		return cmp.Or(cmp.Compare(conditionOrder(a.Type), conditionOrder(c.Type)), cmp.Compare(a.Type, c.Type))
	})
	rows := &table{style: b.firstMarked}
	for _, one := range sorted {
		rows.add(conditionMark(one), one.Type, one.Reason, span(b.now.Sub(one.LastTransitionTime.Time)), one.Message)
	}
	rows.write(&b.Builder, "  ")
}

func (b *page) firstMarked(_, column int, text string) string {
	if column == 0 {
		return b.mark(text)
	}
	return text
}

func (b *page) lastError(last *appsv1.LastError) {
	if last == nil {
		return
	}
	title := "Last error: " + clean(last.Reason)
	if last.At != nil {
		title += ", " + due(last.At.Time, b.now)
	}
	b.heading(title)
	b.WriteString("  " + clean(last.Message) + "\n")
	if last.Hint != "" {
		b.WriteString("  " + b.in(yellow, "hint: "+clean(last.Hint)) + "\n")
	}
}

func checkMark(result string) string {
	switch result {
	case "Passed":
		return good
	case "Failed":
		return bad
	default:
		return open
	}
}

func (b *page) openChecks(title string, groups ...[]appsv1.CheckStatus) {
	rows := &table{style: b.firstMarked}
	for _, checks := range groups {
		for _, check := range checks {
			if check.Result != "Passed" {
				rows.add(checkMark(check.Result), check.Name, check.Result, check.Message)
			}
		}
	}
	if len(rows.rows) > 0 {
		b.heading(title)
		rows.write(&b.Builder, "  ")
	}
}

func (b *page) drift(objects []appsv1.DriftStatus) {
	if len(objects) == 0 {
		return
	}
	b.heading("Drift: objects that are not as installed")
	rows := &table{}
	for _, object := range objects {
		by := ""
		if object.By != "" {
			by = "by " + object.By
		}
		rows.add(object.Object, object.Change, strings.Join(object.Paths, " "), by)
	}
	rows.write(&b.Builder, "  ")
}

func (b *page) history(entries []appsv1.HistoryEntry) {
	if len(entries) == 0 {
		return
	}
	b.heading("History")
	rows := &table{style: func(row, column int, text string) string {
		if row == 0 {
			return b.in(faint, text)
		}
		return b.firstMarked(row, column, text)
	}}
	rows.add("", "REVISION", "RELEASE", "CHART", "OUTCOME", "STARTED", "TOOK", "WHY")
	for _, entry := range entries {
		mark, took := open, ""
		switch entry.Outcome {
		case appsv1.OutcomeSucceeded:
			mark = good
		case appsv1.OutcomeFailed, appsv1.OutcomeRolledBack:
			mark = bad
		case appsv1.OutcomeRunning, appsv1.OutcomeSuperseded:
		}
		started := "-"
		if entry.Started != nil {
			started = span(b.now.Sub(entry.Started.Time)) + " ago"
			if entry.Ended != nil {
				took = span(entry.Ended.Sub(entry.Started.Time))
			}
		}
		rows.add(mark, fmt.Sprint(entry.Revision), cmp.Or(entry.Release, "-"), cmp.Or(entry.ChartVersion, "-"),
			string(entry.Outcome), started, cmp.Or(took, "-"), entry.Why)
	}
	rows.write(&b.Builder, "  ")
}

// verify shows what the probe found.
func (p *plugin) verify(ctx context.Context, name string) error {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	view := struct {
		Condition *metav1.Condition    `json:"condition"`
		Checks    []appsv1.CheckStatus `json:"checks"`
	}{Checks: slices.Concat([]appsv1.CheckStatus{}, resource.Status.Verification)}
	for _, condition := range resource.Status.Conditions {
		if condition.Type == appsv1.ConditionVerified {
			view.Condition = &condition
		}
	}
	err = p.print(view, func() string {
		b := &page{paint: p.paint(), now: p.streams.Now()}
		if view.Condition == nil {
			return "The probe of this release has not run yet.\n"
		}
		told := &table{style: b.firstMarked}
		told.add(conditionMark(*view.Condition), view.Condition.Reason, "since "+span(b.now.Sub(view.Condition.LastTransitionTime.Time)), view.Condition.Message)
		told.write(&b.Builder, "")
		rows := &table{style: b.firstMarked}
		for _, check := range view.Checks {
			rows.add(checkMark(check.Result), check.Name, check.Result, check.Message)
		}
		rows.write(&b.Builder, "  ")
		return b.String()
	})
	failed := slices.ContainsFunc(view.Checks, func(check appsv1.CheckStatus) bool { return check.Result == "Failed" })
	if err == nil && (failed || view.Condition != nil && view.Condition.Status == metav1.ConditionFalse) {
		return no()
	}
	return err
}
