package remote

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const maxSilence = 24 * time.Hour

// retryAfterOf returns how long Retry-After, a number of seconds or a date, asks to wait.
func retryAfterOf(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, int64(maxSilence/time.Second))) * time.Second, true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil { // the server's clock may differ
		now = date
	}
	return max(0, at.Sub(now)), true
}
