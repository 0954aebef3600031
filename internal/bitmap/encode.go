package bitmap

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// MarshalJSON returns the set as the compressed distances between its ids, in base64. Consecutive ids
// take next to nothing, a random half of a range of n ids takes about n/5 bytes.
func (b *Bitmap) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	to, err := flate.NewWriter(&out, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	last, packed := int64(0), []byte(nil)
	for _, id := range slices.Sorted(b.All()) {
		packed = binary.AppendUvarint(packed, uint64(id-last)) //nolint:gosec // the ids are sorted
		last = id
	}
	if _, err := to.Write(packed); err != nil {
		return nil, err
	}
	if err := to.Close(); err != nil {
		return nil, err
	}
	return json.Marshal(out.Bytes())
}

// UnmarshalJSON replaces the set by one that MarshalJSON has written.
func (b *Bitmap) UnmarshalJSON(text []byte) error {
	var packed []byte
	if err := json.Unmarshal(text, &packed); err != nil {
		return err
	}
	*b = Bitmap{}
	if len(packed) == 0 {
		return nil
	}
	from := bufio.NewReader(flate.NewReader(bytes.NewReader(packed)))
	for id := int64(0); ; {
		distance, err := binary.ReadUvarint(from)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("decode a set of ids: %w", err)
		}
		id += int64(distance) //nolint:gosec // MarshalJSON has written it
		b.Add(id)
	}
}
