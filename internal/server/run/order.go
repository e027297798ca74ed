package run

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// maxOrder is how many properties an order may name.
const maxOrder = 8

// Order is how runs are sorted. Those without a value, or with NaN, come last, whatever the direction, and equal ones by id.
type Order struct{ keys []orderKey }

type orderKey struct {
	column     column
	descending bool
}

// ParseOrder reads "+created_at" or "-summary_metrics.loss"; several are separated by commas. "" is "+created_at".
func ParseOrder(text string) (Order, error) {
	var o Order
	if strings.TrimSpace(text) == "" {
		text = "+created_at"
	}
	names := strings.Split(text, ",")
	if len(names) > maxOrder {
		return o, badOrder("it names more than %d properties", maxOrder)
	}
	for _, name := range names {
		name = strings.TrimSpace(name)
		key := orderKey{descending: strings.HasPrefix(name, "-")}
		name = strings.TrimLeft(name, "+-")
		c, ok := parseColumn(name)
		if !ok {
			return o, badOrder("runs have no property %q", name)
		}
		key.column = c
		o.keys = append(o.keys, key)
	}
	return o, nil
}

func badOrder(format string, arguments ...any) error {
	return &fault.Error{
		Reason: ReasonInvalid, Op: "read the order: " + fmt.Sprintf(format, arguments...),
		Hint: "An order looks like -created_at, +summary_metrics.loss or config.lr.value.",
	}
}

// position is where a run stands in an order.
type position struct {
	values []value
	id     store.ID
}

func (o Order) compare(a, b position) int {
	for i, key := range o.keys {
		if c := key.compare(a.values[i], b.values[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(a.id, b.id)
}

func (k orderKey) compare(a, b value) int {
	switch rankA, rankB := rank(a), rank(b); {
	case rankA != rankB:
		return cmp.Compare(rankA, rankB)
	case k.descending:
		return compare(b, a)
	}
	return compare(a, b)
}

// rank puts what is no use to sort by at the end: not-a-number, and nothing.
func rank(v value) int {
	switch {
	case v.kind == kindNone:
		return 2
	case v.kind == kindNumber && math.IsNaN(v.num):
		return 1
	}
	return 0
}

type cursor struct {
	ID   store.ID     `json:"i"`
	Keys []cursorPart `json:"k"`
}

type cursorPart struct {
	Kind kind   `json:"k"`
	Text string `json:"t,omitempty"`
	True bool   `json:"b,omitempty"`
}

// cursor names a position, so that a page goes on there whatever has been added or removed since.
func (p position) cursor() string {
	c := cursor{ID: p.id}
	for _, v := range p.values {
		c.Keys = append(c.Keys, cursorPart{Kind: v.kind, Text: v.text, True: v.kind == kindBool && v.num != 0})
	}
	text, err := json.Marshal(c)
	if err != nil { // texts and numbers always encode
		return ""
	}
	return base64.StdEncoding.EncodeToString(text)
}

func (o Order) parseCursor(text string) (position, error) {
	var c cursor
	plain, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(plain, &c)
	}
	if err == nil && len(c.Keys) != len(o.keys) {
		err = fmt.Errorf("it is of an order of %d properties", len(c.Keys))
	}
	if err != nil {
		return position{}, &fault.Error{
			Reason: ReasonInvalid, Op: "read the cursor", Err: err,
			Hint: "Cursors come from earlier answers to the same question; ask without one for the first page.",
		}
	}
	p := position{id: c.ID}
	for _, part := range c.Keys {
		v := value{kind: part.Kind, text: part.Text}
		switch part.Kind {
		case kindNumber:
			v = number(part.Text)
		case kindBool:
			v = boolValue(part.True)
		}
		p.values = append(p.values, v)
	}
	return p, nil
}
