package kubectl

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/internal/version"
)

// Formats of -o.
const (
	formatText = "text"
	formatJSON = "json"
	formatYAML = "yaml"
)

// format adds -o. The default is text.
func (p *plugin) format(command *cobra.Command, formats ...string) {
	command.Flags().StringVarP(&p.output, "output", "o", formatText, strings.Join(formats, ", "))
	command.PreRunE = func(*cobra.Command, []string) error {
		for _, one := range formats {
			if p.output == one {
				return nil
			}
		}
		return fmt.Errorf("read --output: %q is none of %s", p.output, strings.Join(formats, ", "))
	}
	// The only error is that the flag does not exist.
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// print writes document in the format that was asked for, or text.
func (p *plugin) print(document any, text func() string) error {
	switch p.output {
	case formatJSON:
		encoder := json.NewEncoder(p.streams.Out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(document); err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		return nil
	case formatYAML:
		content, err := yaml.Marshal(document)
		if err != nil {
			return fmt.Errorf("write YAML: %w", err)
		}
		return p.write("---\n" + string(content))
	default:
		return p.write(text())
	}
}

func (p *plugin) write(text string) error {
	if _, err := io.WriteString(p.streams.Out, text); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// say tells a person something beside the output.
func (p *plugin) say(format string, values ...any) {
	_, _ = fmt.Fprintf(p.streams.Err, "%s\n", clean(fmt.Sprintf(format, values...)))
}

// paint colours texts; the zero value leaves them alone.
type paint bool

const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	bold   = "\x1b[1m"
	faint  = "\x1b[2m"
	plain  = "\x1b[0m"
)

func (p paint) in(color, text string) string {
	if !p || text == "" {
		return text
	}
	return color + text + plain
}

// mark returns a coloured sign for how something went.
func (p paint) mark(sign string) string {
	return p.in(map[string]string{good: green, bad: red, open: yellow}[sign], sign)
}

const (
	good = "✓"
	bad  = "✗"
	open = "–"
)

// table aligns columns; the last one is as long as it is. Cells may not hold colours: give them through style.
type table struct {
	rows  [][]string
	style func(row, column int, text string) string
}

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = clean(cells[i])
	}
	t.rows = append(t.rows, cells)
}

func (t *table) write(b *strings.Builder, indent string) {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for number, row := range t.rows {
		var line strings.Builder
		line.WriteString(indent)
		last := len(row) - 1
		for last > 0 && row[last] == "" {
			last--
		}
		for i, cell := range row[:last+1] {
			shown := cell
			if t.style != nil {
				shown = t.style(number, i, cell)
			}
			line.WriteString(shown)
			if i < last {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteString(line.String() + "\n")
	}
}

// clean puts a text that others wrote onto one line, without control characters, which could rewrite what a terminal shows.
func clean(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '�'
		}
		return r
	}, text)
}

// cut shortens a text to so many characters.
func cut(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit-1]) + "…"
}

// span is a short duration such as "12s", "5m", "3h" or "4d".
func span(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 2*day:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d/day))
	}
}

// due says when something is, in both ways in which people think of it.
func due(at, now time.Time) string {
	stamp := at.UTC().Format("2006-01-02 15:04 UTC")
	if at.After(now) {
		return fmt.Sprintf("in %s (%s)", span(at.Sub(now)), stamp)
	}
	return fmt.Sprintf("%s ago (%s)", span(now.Sub(at)), stamp)
}

func (p *plugin) version() error {
	return p.print(map[string]string{"version": version.Version}, func() string { return "kubectl-wandb " + version.Version + "\n" })
}
