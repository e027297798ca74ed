package history

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Keys returns the statistics of a run's history as clients read them; nil where there is no history.
func (s *Service) Keys(ctx context.Context, run store.ID) (json.RawMessage, error) {
	return answer(ctx, s, run, store.StreamHistory, "keys", func(v *view) (json.RawMessage, int, error) {
		totals, err := v.carriedTotals(ctx)
		if err != nil || totals.Lines == 0 {
			return nil, 0, err
		}
		text := keysJSON(totals)
		return text, len(text), nil
	})
}

// keysJSON writes keys by name.
func keysJSON(totals *chunk.Totals) []byte {
	const perKey = 112 // with a short name
	b := make([]byte, 0, 64+perKey*totals.Len())
	b = append(b, `{"keys":{`...)
	first := true
	for name, k := range totals.Keys() {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendKey(b, name, k)
	}
	_, last := totals.Steps()
	b = append(b, `},"sets":[],"lastStep":`...)
	return append(strconv.AppendInt(b, last, 10), '}')
}

func appendKey(b, name []byte, k *chunk.Key) []byte {
	b = appendName(b, name)
	b = append(b, `:{"typeCounts":[`...)
	first := true
	for kind, n := range k.Counts {
		if n == 0 {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, `{"type":"`...)
		b = append(b, chunk.Kind(kind).String()...) // there are six
		b = append(b, `","count":`...)
		b = strconv.AppendInt(b, n, 10)
		b = append(b, '}')
	}
	b = append(b, `],"monotonic":`...)
	b = strconv.AppendBool(b, k.Monotonic)
	b = append(b, `,"previousValue":`...)
	if last := k.Last.Bytes(); len(last) > 0 {
		b = appendStrict(b, last)
	} else {
		b = append(b, "null"...)
	}
	return append(b, '}')
}

// appendName writes a name. Almost none needs more than quotes.
func appendName(b, name []byte) []byte {
	for _, c := range name {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return appendString(b, string(name))
		}
	}
	return append(append(append(b, '"'), name...), '"')
}

func appendString(b []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil { // no string fails
		return append(b, `""`...)
	}
	return append(b, quoted...)
}

// appendStrict appends a JSON value as strict readers take it: NaN, Infinity and -Infinity become strings, and bytes that
// are no UTF-8 the replacement character. Everything else stays as it is written.
func appendStrict(b, token []byte) []byte {
	if !utf8.Valid(token) {
		token = bytes.ToValidUTF8(token, []byte("\uFFFD"))
	}
	if !bytes.ContainsAny(token, "NI") {
		return append(b, token...)
	}
	inString := false
	for i := 0; i < len(token); i++ {
		c := token[i]
		switch {
		case inString && c == '\\' && i+1 < len(token):
			b = append(b, c, token[i+1])
			i++
			continue
		case c == '"':
			inString = !inString
		case !inString && (c == 'N' || c == 'I' || c == '-'):
			if word := nonFinite(token[i:]); word != "" {
				b = append(append(append(b, '"'), word...), '"')
				i += len(word) - 1
				continue
			}
		}
		b = append(b, c)
	}
	return b
}

func nonFinite(b []byte) string {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if len(b) >= len(word) && string(b[:len(word)]) == word {
			return word
		}
	}
	return ""
}
