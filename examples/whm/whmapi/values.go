package whmapi

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// flag is a boolean in one of WHM's spellings: 1, "1", true, 0, "0", "", false or null.
type flag bool

// UnmarshalJSON accepts all spellings.
func (f *flag) UnmarshalJSON(data []byte) error {
	switch text := strings.Trim(string(data), `"`); text {
	case "1", "true":
		*f = true
	case "0", "false", "", "null":
		*f = false
	default:
		return fmt.Errorf("%q is not a boolean", text)
	}
	return nil
}

// texts is a list of strings. WHM may also send one string, or null.
type texts []string

// UnmarshalJSON accepts all three forms. An empty string is an empty list.
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

// number is an integer. WHM may send it as a number or as a string.
type number int64

// UnmarshalJSON accepts both forms. An empty string and null are 0.
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

// size is a disk size in bytes. A limit of 0 is unlimited.
type size int64

// parseSize reads WHM's spellings of a disk size, for example "unlimited", "2000M", "1.5G" or
// 262144000. unit is the factor of a number without a suffix, because the fields differ: the limits
// of accounts are in megabytes, _diskquota is in bytes.
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
		return 0, fmt.Errorf("%.40q is not a disk size", data)
	}
	return size(math.Round(value * float64(unit))), nil
}

const (
	byteUnit = 1
	mebibyte = 1 << 20
)
