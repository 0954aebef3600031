package tracker

// The maximum lengths of a target's texts, in bytes.
const (
	MaxInstance = 255
	MaxTargetID = 255
)

// The maximum sizes, in bytes, of texts that come from handlers and remotes. A longer error,
// stack or log is cut and ends with a mark. A longer result is replaced by a note of its size.
const (
	MaxError  = 8 << 10
	MaxStack  = 32 << 10
	MaxLog    = 64 << 10
	MaxResult = 64 << 10
)
