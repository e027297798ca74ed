package plan

import (
	"fmt"
	"strings"
)

const (
	// maxDiffedLines bounds the texts that are compared line by line: the work grows with the product of both.
	maxDiffedLines = 600
	// maxShownLines bounds what is shown of one text.
	maxShownLines = 120
	// contextLines stand around each difference.
	contextLines = 2
	maxLine      = 240
)

// lineDiff returns the lines of two texts that differ, with two lines around each: "-old", "+new", " same". It is empty
// where the texts are equal.
func lineDiff(old, current string) []string {
	if old == current {
		return nil
	}
	if strings.HasSuffix(old, "\n") && strings.HasSuffix(current, "\n") {
		old, current = old[:len(old)-1], current[:len(current)-1]
	}
	a, b := strings.Split(old, "\n"), strings.Split(current, "\n")
	if len(a) > maxDiffedLines || len(b) > maxDiffedLines {
		return []string{fmt.Sprintf("-(text of %d lines)", len(a)), fmt.Sprintf("+(text of %d lines)", len(b))}
	}
	return withContext(editScript(a, b))
}

// editScript returns every line of both texts, each with its mark.
func editScript(a, b []string) []string {
	common := make([][]int, len(a)+1) // common[i][j]: longest common subsequence of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	script := make([]string, 0, len(a)+len(b))
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			script = append(script, " "+a[i])
			i, j = i+1, j+1
		case j == len(b) || (i < len(a) && common[i+1][j] >= common[i][j+1]):
			script = append(script, "-"+a[i])
			i++
		default:
			script = append(script, "+"+b[j])
			j++
		}
	}
	return script
}

func withContext(script []string) []string {
	near := make([]bool, len(script))
	for i, line := range script {
		if line[0] == ' ' {
			continue
		}
		for j := max(0, i-contextLines); j <= min(len(script)-1, i+contextLines); j++ {
			near[j] = true
		}
	}
	var shown []string
	for i, line := range script {
		switch {
		case len(shown) >= maxShownLines:
			return append(shown, " … (further lines differ)")
		case near[i]:
			shown = append(shown, cut(line, maxLine))
		case i == 0 || near[i-1]:
			shown = append(shown, " …")
		}
	}
	return shown
}
