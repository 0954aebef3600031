package jobrow

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// TargetKey is the hash under which the jobs of one target are found.
func TargetKey(service, typ, instance, id string) int64 {
	return hash("target", service, typ, instance, id)
}

// NamedLane is the lane of jobs that name one themselves.
func NamedLane(service, name string) int64 { return hash("lane", service, name) }

// RowLane is the lane of the jobs that change one snapshot row.
func RowLane(table string, id int64) int64 { return hash("row", table, strconv.FormatInt(id, 10)) }

// hash is the first half of a SHA-256: two targets that share one only wait for each
// other.
func hash(parts ...string) int64 {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// HoldKey is unique among open holds: of a scope there is one.
func HoldKey(service, typ, instance string) string {
	sum := sha256.Sum256([]byte(service + "\x00" + typ + "\x00" + instance))
	return hex.EncodeToString(sum[:16])
}
