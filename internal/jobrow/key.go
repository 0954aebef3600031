package jobrow

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// TargetKey returns the hash by which the jobs of one target are indexed.
func TargetKey(service, typ, instance, id string) int64 {
	return hash("target", service, typ, instance, id)
}

// NamedLane returns the lane of jobs that set a lane name.
func NamedLane(service, name string) int64 { return hash("lane", service, name) }

// RowLane returns the lane of the jobs that change one snapshot row.
func RowLane(table string, id int64) int64 { return hash("row", table, strconv.FormatInt(id, 10)) }

// hash returns the first 8 bytes of the SHA-256 of the parts. A collision is very unlikely, and
// its main effect is that the jobs of two lanes wait for each other.
func hash(parts ...string) int64 {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// HoldKey returns the unique key of the open hold of a scope. The key prevents a second open hold
// of the same scope.
func HoldKey(service, typ, instance string) string {
	sum := sha256.Sum256([]byte(service + "\x00" + typ + "\x00" + instance))
	return hex.EncodeToString(sum[:16])
}
