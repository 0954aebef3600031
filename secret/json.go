package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// SameJSON reports whether two JSON documents have the same content. The order of keys and the
// escaping of characters do not matter. It returns an error if one of them is not valid JSON.
func SameJSON(a, b []byte) (bool, error) {
	if bytes.Equal(a, b) {
		return true, nil
	}
	var left, right bytes.Buffer
	if err := errors.Join(json.Compact(&left, a), json.Compact(&right, b)); err != nil {
		return false, fmt.Errorf("compare JSON: %w", err)
	}
	if bytes.Equal(left.Bytes(), right.Bytes()) {
		return true, nil
	}
	// The documents may differ in escaping only: Mask writes "<" and json.Marshal "\u003c".
	var x, y any
	if err := errors.Join(decodeNumbers(a, &x), decodeNumbers(b, &y)); err != nil {
		return false, fmt.Errorf("compare JSON: %w", err)
	}
	canonX, _ := json.Marshal(x)
	canonY, _ := json.Marshal(y)
	return bytes.Equal(canonX, canonY), nil
}

func decodeNumbers(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(into)
}
