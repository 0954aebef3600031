package remote

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// silenceWithoutTime is how long a limit scope is silent after a 429 that does not say how long.
const silenceWithoutTime = time.Minute

// noteLimits corrects the budgets of a class by what a response says about limits: its Retry-After with
// status 429 or 503, and the headers Ratelimit, Ratelimit-Policy and X-RateLimit-*.
func (r *Remote) noteLimits(ctx context.Context, scope, class string, resp *http.Response) {
	n := limitsOf(resp.StatusCode, resp.Header, r.config.Now())
	if n.Silence > 0 {
		r.budgets.noteSilence(scope, r.config.Now().Add(time.Duration(n.Silence)*time.Millisecond))
	}
	if n == (notice{}) && resp.Header.Get("Ratelimit-Policy") == "" {
		return
	}
	for _, l := range r.budgets.of(scope, class) {
		n.Quota = 0
		if q := quotaOf(resp.Header, l.budget.Window); q < l.terms.Calls {
			n.Quota = q
		}
		if ctx := context.WithoutCancel(ctx); l.matters(ctx, n) {
			_, _ = l.do(ctx, request{Notice: n})
		}
	}
}

// matters reports whether a notice would change the account.
func (l *limit) matters(ctx context.Context, n notice) bool {
	if l.lock(ctx) != nil {
		return false
	}
	defer l.unlock()
	if n.Silence > 0 || n.Quota != l.quota {
		l.quota = n.Quota
		return true
	}
	if !n.HasLeft || l.terms.Calls == 0 {
		return false
	}
	was := l.others
	l.others = l.left >= 0 && n.Left < l.left
	return was || l.others
}

// limitsOf returns what a response says about limits.
func limitsOf(status int, h http.Header, now time.Time) (n notice) {
	left, reset, known := leftOf(h, now)
	if known {
		n.HasLeft, n.Left, n.Reset = true, left, reset.Milliseconds()
	}
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return n
	}
	wait, asked := retryAfterOf(h, now)
	switch {
	case asked:
	case status == http.StatusServiceUnavailable:
		return n
	case known && left == 0 && reset > 0:
		wait = reset
	default:
		wait = silenceWithoutTime
	}
	n.Silence = max(1, min(wait, maxSilence).Milliseconds())
	return n
}

// leftOf returns the calls that are left, and until when: the lowest of `Ratelimit: "default";r=50;t=30`,
// or X-RateLimit-Remaining and -Reset, which is a number of seconds or a Unix time.
func leftOf(h http.Header, now time.Time) (left int, reset time.Duration, known bool) {
	for item := range items(h, "Ratelimit") {
		r, hasLeft := item["r"]
		t, hasReset := item["t"]
		if hasLeft && hasReset && (!known || r < left) {
			left, reset, known = r, time.Duration(t)*time.Second, true
		}
	}
	if known {
		return left, reset, true
	}
	r, err := strconv.Atoi(strings.TrimSpace(h.Get("X-Ratelimit-Remaining")))
	if err != nil || r < 0 {
		return 0, 0, false
	}
	t, err := strconv.ParseFloat(strings.TrimSpace(h.Get("X-Ratelimit-Reset")), 64)
	if err != nil || !(t >= 0) { // NaN too
		return 0, 0, false
	}
	const unixTimes = 1e9 // as seconds from now it would be 30 years
	if t >= unixTimes {
		reset = time.Unix(int64(t), 0).Sub(now)
	} else {
		reset = time.Duration(t * float64(time.Second))
	}
	return r, min(max(0, reset), maxSilence), true
}

// quotaOf returns how many calls of a window the server allows according to `Ratelimit-Policy:
// "default";q=100;w=60`, or 0. A policy for a shorter window shows in the calls that are left.
func quotaOf(h http.Header, window time.Duration) (quota int) {
	for item := range items(h, "Ratelimit-Policy") {
		q, w := item["q"], time.Duration(item["w"])*time.Second
		if q > 0 && w >= window && (quota == 0 || q < quota) {
			quota = q
		}
	}
	return quota
}

// items returns the parameters of each item of a structured field such as `"default";r=50;t=30`.
func items(h http.Header, name string) func(yield func(map[string]int) bool) {
	return func(yield func(map[string]int) bool) {
		for _, line := range h.Values(name) {
			for item := range strings.SplitSeq(line, ",") {
				numbers := map[string]int{}
				for parameter := range strings.SplitSeq(item, ";") {
					key, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
					if n, err := strconv.Atoi(value); err == nil && n >= 0 {
						numbers[strings.ToLower(key)] = n
					}
				}
				if !yield(numbers) {
					return
				}
			}
		}
	}
}
