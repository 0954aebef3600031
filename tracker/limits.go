package tracker

// Limits of texts that come from outside. What is longer is cut, and says so.
const (
	MaxError  = 8 << 10
	MaxStack  = 32 << 10
	MaxLog    = 64 << 10
	MaxResult = 64 << 10
)
