package secret

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"reflect"
)

// checkMarked checks each Secret of v by itself, even if several have the same value or another field has it: it
// marshals a copy in which no two values are equal. It accepts that a MarshalJSON refuses these values. One that
// leaves out a part of them may only limit the length, as for a column, so values as long as the present ones
// are tried too.
func (c *Revealer) checkMarked(v reflect.Value, held []heldSecret) error {
	if len(held) == 0 {
		return nil
	}
	end, n := rand.Text(), 0
	err := c.checkCopy(v, func(value string) string {
		n++
		return fmt.Sprintf("%s-%d-%s", value, n, end)
	})
	if err == nil {
		return nil
	}
	for _, h := range held {
		if randomChars(h.value) < minRedacted {
			return err // the others of its length may be elsewhere in the JSON by chance
		}
	}
	for range 2 {
		seen := map[string]bool{}
		if c.checkCopy(v, func(value string) string { return alike(value, seen) }) != nil {
			return err
		}
	}
	return nil
}

// checkCopy is checkSealed for a copy of v with other values.
func (c *Revealer) checkCopy(v reflect.Value, mark func(value string) string) error {
	marked, err := (&copier{mark: mark}).copy(v, 0)
	if err != nil {
		return err
	}
	document, err := json.Marshal(marked.Interface())
	if err != nil {
		return nil //nolint:nilerr // the original was marshalled
	}
	return checkSealed(document, c.collect(marked))
}

// charClasses are the characters of which alike replaces one by another.
var charClasses = []string{"0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}

// classOf returns the class of a character, or "".
func classOf(char byte) string {
	for _, class := range charClasses {
		if char >= class[0] && char <= class[len(class)-1] {
			return class
		}
	}
	return ""
}

// randomChars returns how many characters of a value alike replaces.
func randomChars(value string) int {
	n := 0
	for i := range len(value) {
		if classOf(value[i]) != "" {
			n++
		}
	}
	return n
}

// alike returns a random value of the same length with the same classes of characters, which is not one of
// seen.
func alike(value string, seen map[string]bool) string {
	for {
		text, random := []byte(value), make([]byte, len(value))
		_, _ = rand.Read(random) // never fails
		for i, char := range text {
			if class := classOf(char); class != "" {
				text[i] = class[int(random[i])%len(class)]
			}
		}
		if !seen[string(text)] && string(text) != value {
			seen[string(text)] = true
			return string(text)
		}
	}
}
