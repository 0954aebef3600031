package whmapi

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// flag is a boolean as WHM sends it: 1, "1", true, 0, "0", "", false or null.
type flag bool

// UnmarshalJSON reads any of them.
func (f *flag) UnmarshalJSON(data []byte) error {
	switch text := strings.Trim(string(data), `"`); text {
	case "1", "true":
		*f = true
	case "0", "false", "", "null":
		*f = false
	default:
		return fmt.Errorf("%q is neither 1 nor 0", text)
	}
	return nil
}

// texts is a list of strings, one string, or null.
type texts []string

// UnmarshalJSON reads any of them.
func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = nil
		if one != "" {
			*t = texts{one}
		}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// number is an integer that may come as a string.
type number int64

// UnmarshalJSON reads both.
func (n *number) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	if text == "" || text == "null" {
		*n = 0
		return nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) || math.Abs(value) > math.MaxInt64/2 {
		return fmt.Errorf("%q is not a number", text)
	}
	*n = number(value)
	return nil
}

// size is an amount of disk in bytes; 0 is unlimited where it is a limit. Of the
// many spellings each field has its own unit when it names none: "unlimited",
// 2000 (megabytes in limits), "2000M", "1.5G", 262144000 (bytes in _diskquota).
type size int64

func parseSize(data json.RawMessage, unit int64) (size, error) {
	text := strings.ToLower(strings.TrimSpace(strings.Trim(string(data), `"`)))
	switch text {
	case "", "null", "unlimited", "none", "*unknown*":
		return 0, nil
	}
	for suffix, factor := range map[string]int64{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = rest, factor
			break
		}
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || value < 0 || value*float64(unit) > math.MaxInt64/2 || math.IsNaN(value) {
		return 0, fmt.Errorf("%q is not an amount of disk", clip(string(data)))
	}
	return size(math.Round(value * float64(unit))), nil
}

const (
	byteUnit = 1
	mebibyte = 1 << 20
)
