package drift

import (
	"maps"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"
)

// isServerField tells what belongs to the API server and to controllers.
func isServerField(path pointer) bool {
	switch {
	case len(path) == 1:
		return path[0] == "status" || path[0] == "apiVersion" || path[0] == "kind"
	case len(path) == 2 && path[0] == "metadata":
		switch path[1] {
		case "managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "deletionTimestamp",
			"deletionGracePeriodSeconds", "selfLink":
			return true
		}
	}
	return false
}

// compare returns the paths at which two answers of the API server differ, in order. Maps are descended into even where the
// other side has none, so that rules can name what lies in them; lists of different lengths differ as a whole.
func compare(live, wanted map[string]any) []pointer {
	c := comparison{}
	c.maps(nil, live, wanted)
	return c.found
}

// compareLoosely is compare for a wanted side that the API server has not normalised.
func compareLoosely(live, wanted map[string]any) []pointer {
	c := comparison{loose: true}
	c.maps(nil, live, wanted)
	return c.found
}

type comparison struct {
	loose bool
	found []pointer
}

func (c *comparison) same(a, b any) bool {
	if c.loose {
		return loose(a, b)
	}
	return exact(a, b)
}

func (c *comparison) values(path pointer, a, b any) {
	aMap, aIsMap := a.(map[string]any)
	bMap, bIsMap := b.(map[string]any)
	if (aIsMap || a == nil) && (bIsMap || b == nil) && len(aMap)+len(bMap) > 0 {
		c.maps(path, aMap, bMap)
		return
	}
	if isEmpty(a) && isEmpty(b) && (c.loose || (a == nil) == (b == nil)) {
		return
	}
	aList, aIsList := a.([]any)
	bList, bIsList := b.([]any)
	if aIsList && bIsList && len(aList) == len(bList) {
		for i := range aList {
			c.values(path.child(strconv.Itoa(i)), aList[i], bList[i])
		}
		return
	}
	if aIsList || bIsList || aIsMap || bIsMap || !c.same(a, b) {
		c.found = append(c.found, path)
	}
}

func (c *comparison) maps(path pointer, a, b map[string]any) {
	keys := slices.Collect(maps.Keys(a))
	for key := range b {
		if _, both := a[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if child := path.child(key); !isServerField(child) {
			c.values(child, a[key], b[key])
		}
	}
}

// isEmpty tells an absent value, and the empty map or list that says the same.
func isEmpty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}

// exact compares scalars of JSON; an integer equals the float of the same value.
func exact(a, b any) bool {
	if a == b {
		return true
	}
	aNumber, aIsNumber := number(a)
	bNumber, bIsNumber := number(b)
	return aIsNumber && bIsNumber && aNumber == bNumber
}

func number(value any) (float64, bool) {
	switch value := value.(type) {
	case int64:
		return float64(value), true
	case float64:
		return value, true
	}
	return 0, false
}

// loose compares scalars that the API server did not normalise: "1000m" says the same as "1", and 1 the same as "1".
func loose(a, b any) bool {
	if exact(a, b) {
		return true
	}
	aQuantity, aErr := quantity(a)
	bQuantity, bErr := quantity(b)
	return aErr == nil && bErr == nil && aQuantity.Cmp(bQuantity) == 0
}

func quantity(value any) (resource.Quantity, error) {
	switch value := value.(type) {
	case string:
		return resource.ParseQuantity(value) // only tested for nil
	case int64:
		return *resource.NewQuantity(value, resource.DecimalSI), nil
	}
	return resource.Quantity{}, resource.ErrFormatWrong
}
