package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// TextOptions of Text.
type TextOptions struct {
	// Color marks what is added, changed and removed with the terminal's colours.
	Color bool
}

// Text returns the plan as `kubectl wandb diff` prints it. It ends with a line that sums up.
func Text(plan *Plan, options TextOptions) string {
	p := &page{color: options.Color}
	p.header(plan)
	if len(plan.Changes) == 0 {
		p.line(0, "", "No object changes.")
	}
	for _, change := range plan.Changes {
		p.change(change, plan.Namespace)
	}
	p.images(plan.Images)
	if len(plan.Restarts) > 0 {
		p.heading("Pods that are replaced:")
		for _, restart := range plan.Restarts {
			text := restart.Object
			if restart.Why != "" {
				text += " (" + restart.Why + ")"
			}
			p.line(1, "", text)
		}
	}
	p.rights(plan)
	if plan.SchemaNote != "" {
		p.heading("Database: " + plan.SchemaNote)
	}
	p.generated(plan.Generated)
	added, changed, removed := plan.Counts()
	p.heading(fmt.Sprintf("Plan: %d to add, %d to change, %d to remove", added, changed, removed))
	return p.b.String()
}

type page struct {
	b     strings.Builder
	color bool
}

// line writes one line: indentation in steps of two, a mark, and text without control characters, which could rewrite
// what the terminal shows.
func (p *page) line(depth int, mark, text string) {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '�'
		}
		return r
	}, text)
	if mark != "" {
		text = mark + " " + text
	}
	if p.color && mark != "" {
		text = colors()[mark] + text + "\x1b[0m"
	}
	p.b.WriteString(strings.TrimRight(strings.Repeat("  ", depth)+text, " ") + "\n")
}

func colors() map[string]string {
	return map[string]string{"+": "\x1b[32m", "~": "\x1b[33m", "-": "\x1b[31m"}
}

func (p *page) heading(text string) {
	p.b.WriteString("\n")
	p.line(0, "", text)
}

func (p *page) header(plan *Plan) {
	p.line(0, "", "Plan "+plan.Digest)
	name := strings.TrimSpace(plan.Chart + " " + plan.ChartVersion)
	if plan.Release != "" {
		p.line(0, "", fmt.Sprintf("to release %s (chart %s)", plan.Release, cmp.Or(name, "unknown")))
	} else if name != "" {
		p.line(0, "", "to chart "+name)
	}
	if plan.Adoption {
		p.line(0, "", "takes over a Helm release that somebody else made")
	}
	p.b.WriteString("\n")
}

func marks(action Action) string {
	switch action {
	case Add:
		return "+"
	case Remove:
		return "-"
	default:
		return "~"
	}
}

func (p *page) change(change Change, namespace string) {
	var notes []string
	if change.Hook {
		notes = append(notes, "hook")
	}
	if change.Generated {
		notes = append(notes, "its name is generated")
	}
	if change.Namespace != "" && namespace != "" && change.Namespace != namespace {
		notes = append(notes, "namespace "+change.Namespace)
	}
	text := change.Object()
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, ", ") + ")"
	}
	p.line(1, marks(change.Action), text)
	for _, field := range change.Fields {
		p.field(field)
	}
	if change.Omitted > 0 {
		p.line(3, "", fmt.Sprintf("… and %d more fields", change.Omitted))
	}
}

func (p *page) field(field Field) {
	text := field.Label
	switch {
	case field.Hidden:
		text += ": (value not shown)"
	case len(field.Lines) > 0:
		text += ":"
	case field.Action == Add:
		text += ": " + field.New
	case field.Action == Remove:
		text += ": " + field.Old
	default:
		text += ": " + field.Old + " → " + field.New
	}
	p.line(3, marks(field.Action), text)
	for _, line := range field.Lines {
		// A stored plan may hold anything, an empty line too.
		if mark := line[:min(1, len(line))]; mark == "+" || mark == "-" {
			p.line(5, mark, line[1:])
		} else {
			p.line(5, "", " "+line)
		}
	}
}

func (p *page) images(images []Image) {
	if len(images) == 0 {
		return
	}
	p.heading("Images:")
	for _, image := range images {
		where := image.Object + ", container " + image.Container
		switch {
		case image.From == "":
			p.line(1, "+", where+": "+image.To)
		case image.To == "":
			p.line(1, "-", where+": "+image.From)
		default:
			p.line(1, "~", where+": "+image.From+" → "+image.To)
		}
	}
}

func (p *page) rights(plan *Plan) {
	if len(plan.Rights) > 0 {
		p.heading("Rights:")
	}
	for _, right := range plan.Rights {
		p.line(1, "", right.Object)
		for _, one := range right.Gains {
			p.line(3, "+", one)
		}
		for _, one := range right.Loses {
			p.line(3, "-", one)
		}
	}
	if plan.Missing == "" {
		return
	}
	p.heading("The operator lacks rights for this. Have an administrator of the cluster apply:")
	for line := range strings.SplitSeq(strings.TrimRight(plan.Missing, "\n"), "\n") {
		p.line(1, "", line)
	}
}

func (p *page) generated(paths Paths) {
	if len(paths) == 0 {
		return
	}
	p.heading("Generated anew by the chart, and not compared:")
	for _, key := range slices.Sorted(maps.Keys(paths)) {
		_, object, _ := strings.Cut(key, "/")
		kind, name, _ := strings.Cut(object, "/")
		p.line(1, "", kind+" "+name[strings.LastIndex(name, "/")+1:]+": "+strings.Join(fallback(paths[key]), ", "))
	}
}

func fallback(pointers []string) []string {
	if slices.Contains(pointers, "") {
		return []string{"its name"}
	}
	return pointers
}
