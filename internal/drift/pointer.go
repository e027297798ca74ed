package drift

import (
	"errors"
	"slices"
	"strings"
)

// pointer is a JSON pointer (RFC 6901), split and unescaped.
type pointer []string

// parsePointer reads a JSON pointer. The empty text is the whole document.
func parsePointer(text string) (pointer, error) {
	if text == "" {
		return pointer{}, nil
	}
	if text[0] != '/' {
		return nil, errors.New("a JSON pointer begins with /")
	}
	tokens := strings.Split(text[1:], "/")
	for i, token := range tokens {
		plain, err := unescapeToken(token)
		if err != nil {
			return nil, err
		}
		tokens[i] = plain
	}
	return tokens, nil
}

func unescapeToken(token string) (string, error) {
	if !strings.Contains(token, "~") {
		return token, nil
	}
	rest := strings.NewReplacer("~0", "", "~1", "").Replace(token)
	if strings.Contains(rest, "~") {
		return "", errors.New("~ in a JSON pointer is followed by 0 or 1")
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(token), nil
}

// String writes the pointer as RFC 6901 has it.
func (p pointer) String() string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var text strings.Builder
	for _, token := range p {
		text.WriteByte('/')
		text.WriteString(escape.Replace(token))
	}
	return text.String()
}

// below tells whether p is top or lies below it.
func (p pointer) below(top pointer) bool {
	return len(p) >= len(top) && slices.Equal(p[:len(top)], top)
}

// child returns a pointer of its own memory.
func (p pointer) child(token string) pointer {
	return append(slices.Clip(slices.Clone(p)), token)
}
