package history

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kubewandb/kubewandb/internal/server/chunk"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// maxKeys is how many keys a run's statistics may have.
const maxKeys = 1 << 17

// Keys returns the statistics of a run's history as clients read them; nil where there is no history.
func (s *Service) Keys(ctx context.Context, run store.ID) (json.RawMessage, error) {
	return answer(ctx, s, run, store.StreamHistory, "keys", func(v *view) (json.RawMessage, int, error) {
		stats, err := v.stats(ctx)
		if err != nil || stats.Lines == 0 {
			return nil, 0, err
		}
		text := keysJSON(stats)
		return text, len(text), nil
	})
}

func keysJSON(stats *chunk.Stats) []byte {
	keys := make([]*chunk.Key, 0, len(stats.Keys()))
	for i := range stats.Keys() {
		keys = append(keys, &stats.Keys()[i])
	}
	slices.SortFunc(keys, func(a, b *chunk.Key) int { return strings.Compare(a.Name, b.Name) })
	b := make([]byte, 0, 64+128*len(keys))
	b = append(b, `{"keys":{`...)
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendKey(b, k)
	}
	_, last := stats.Steps()
	b = append(b, `},"sets":[],"lastStep":`...)
	return append(strconv.AppendInt(b, last, 10), '}')
}

func appendKey(b []byte, k *chunk.Key) []byte {
	b = appendString(b, k.Name)
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
