package helm

import (
	"regexp"

	chart "helm.sh/helm/v4/pkg/chart/v2"
)

var (
	// templateAction finds what a template computes; a comment computes nothing.
	templateAction  = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	templateComment = regexp.MustCompile(`^\{\{-?\s*/\*`)
	// varyingFunction finds functions whose answer may differ from one render to the next. Fields (.Values.now) and
	// variables are no functions.
	varyingFunction = regexp.MustCompile(`(?:^|[\s({|,=])-?(?:rand[A-Z]\w*|shuffle|uuidv4|gen[A-Z]\w*|buildCustomCert|now|ago|date\w*|htmlDate\w*|unixEpoch|lookup|htpasswd|bcrypt|derivePassword|encryptAES|getHostByName)\b`)
	tplFunction     = regexp.MustCompile(`(?:^|[\s({|,=])-?tpl\b`)
)

// varies tells whether two renders of the chart with the same values may differ. A false alarm costs a second render.
func (c *Chart) varies(values map[string]any) bool {
	usesTpl := false
	for _, part := range withSubcharts(c.parsed) {
		for _, template := range part.Templates {
			text := string(template.Data)
			if hasAction(text, varyingFunction) {
				return true
			}
			usesTpl = usesTpl || hasAction(text, tplFunction)
		}
	}
	if !usesTpl {
		return false
	}
	// With tpl, values and files may hold templates too.
	if valueVaries(values) {
		return true
	}
	for _, part := range withSubcharts(c.parsed) {
		if valueVaries(part.Values) {
			return true
		}
		for _, file := range part.Files {
			if hasAction(string(file.Data), varyingFunction) {
				return true
			}
		}
	}
	return false
}

func withSubcharts(root *chart.Chart) []*chart.Chart {
	parts := []*chart.Chart{root}
	for _, dependency := range root.Dependencies() {
		parts = append(parts, withSubcharts(dependency)...)
	}
	return parts
}

func valueVaries(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, item := range v {
			if valueVaries(item) {
				return true
			}
		}
	case []any:
		for _, item := range v {
			if valueVaries(item) {
				return true
			}
		}
	case string:
		return hasAction(v, varyingFunction)
	}
	return false
}

func hasAction(text string, function *regexp.Regexp) bool {
	for _, action := range templateAction.FindAllString(text, -1) {
		if !templateComment.MatchString(action) && function.MatchString(action) {
			return true
		}
	}
	return false
}
