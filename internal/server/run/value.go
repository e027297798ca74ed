package run

import (
	"cmp"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// kind is the type of a value, in the order in which values of different types sort.
type kind uint8

const (
	// kindNone: there is no value. It sorts last whatever the direction.
	kindNone kind = iota
	kindNumber
	kindText
	kindBool
	// kindJSON is a list or an object, as text.
	kindJSON
)

// value is what a filter compares and an order sorts by. Numbers compare as numbers; their text is kept, since a float does
// not hold every integer.
type value struct {
	kind kind
	num  float64
	text string
}

// maxExactInt is the last integer that a float can tell from its neighbours.
const maxExactInt = 1 << 53

func number(text string) value {
	num, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(num, 0) {
		num = math.NaN()
	}
	return value{kind: kindNumber, num: num, text: text}
}

func integer(n int64) value {
	return value{kind: kindNumber, num: float64(n), text: strconv.FormatInt(n, 10)}
}

// text is none where it is empty: the database does not tell an empty text from none.
func textValue(s string) value {
	if s == "" {
		return value{}
	}
	return value{kind: kindText, text: s}
}

func timeValue(t time.Time) value {
	if t.IsZero() {
		return value{}
	}
	return integer(t.UnixMicro())
}

func boolValue(b bool) value {
	if b {
		return value{kind: kindBool, num: 1}
	}
	return value{kind: kindBool}
}

// valueOf reads a JSON value, and keeps nothing of the text around it.
func valueOf(r gjson.Result) value {
	switch r.Type {
	case gjson.Number:
		return number(strings.Clone(r.Raw))
	case gjson.String:
		return value{kind: kindText, text: strings.Clone(r.Str)}
	case gjson.True, gjson.False:
		return boolValue(r.Type == gjson.True)
	case gjson.JSON:
		return value{kind: kindJSON, text: strings.Clone(strings.TrimSpace(r.Raw))}
	}
	return value{}
}

// compare orders two values that are there. NaN sorts after every other number.
func compare(a, b value) int {
	if a.kind != b.kind {
		return cmp.Compare(a.kind, b.kind)
	}
	switch a.kind {
	case kindNumber:
		return compareNumbers(a, b)
	case kindBool:
		return cmp.Compare(a.num, b.num)
	default:
		return strings.Compare(a.text, b.text)
	}
}

func compareNumbers(a, b value) int {
	aNaN, bNaN := math.IsNaN(a.num), math.IsNaN(b.num)
	switch {
	case aNaN && bNaN:
		return 0
	case aNaN:
		return 1
	case bNaN:
		return -1
	case a.num != b.num || math.Abs(a.num) < maxExactInt || math.IsInf(a.num, 0):
		return cmp.Compare(a.num, b.num)
	}
	x, okX := new(big.Int).SetString(a.text, 10)
	y, okY := new(big.Int).SetString(b.text, 10)
	if !okX || !okY { // with a fraction or an exponent there is nothing more to tell
		return 0
	}
	return x.Cmp(y)
}

// equal tells whether two values are the same. NaN is the same as nothing.
func equal(a, b value) bool {
	if a.kind != b.kind {
		return false
	}
	if a.kind == kindNumber && (math.IsNaN(a.num) || math.IsNaN(b.num)) {
		return false
	}
	if a.kind == kindJSON {
		return compact(a.text) == compact(b.text)
	}
	return a.kind == kindNone || compare(a, b) == 0
}

// compact leaves out the space between tokens.
func compact(text string) string { return gjson.Get(text, "@ugly").Raw }

// contains tells whether a value is the other, or a list that holds it.
func contains(v, wanted value) bool {
	if equal(v, wanted) {
		return true
	}
	if v.kind != kindJSON || !strings.HasPrefix(v.text, "[") {
		return false
	}
	found := false
	gjson.Parse(v.text).ForEach(func(_, element gjson.Result) bool {
		found = equal(valueOf(element), wanted)
		return !found
	})
	return found
}
