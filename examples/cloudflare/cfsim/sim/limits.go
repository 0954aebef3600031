package sim

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// budget is what a token has spent of its limit.
type budget struct {
	began   time.Time // of the window
	spent   int
	blocked time.Time // until when each request is refused
	over    int       // requests that were refused
}

// PerSecond is how many requests a second Cloudflare takes from one IP address.
const PerSecond = 200

// second is what an IP address has sent in a second.
type second struct {
	began    time.Time
	requests int
}

// burst counts a request of an IP address. It returns the answer to one over the limit, or nil.
func (s *Server) burst(w http.ResponseWriter, r *http.Request) *answer {
	if s.perSecond <= 0 {
		return nil
	}
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	now, sent := s.now(), s.seconds[address]
	if sent == nil {
		sent = &second{}
		s.seconds[address] = sent
	}
	if now.Sub(sent.began) >= time.Second {
		sent.began, sent.requests = now, 0
	}
	if sent.requests++; sent.requests <= s.perSecond {
		return nil
	}
	w.Header().Set("Ratelimit", `"burst";r=0;t=1`)
	w.Header().Set("Ratelimit-Policy", fmt.Sprintf(`"burst";q=%d;w=1`, s.perSecond))
	w.Header().Set("Retry-After", "1")
	return new(failed(http.StatusTooManyRequests, 971, "Please wait and consider throttling your request speed"))
}

// admit finds a token and counts the call. It returns the answer that refuses the call, or nil.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, name string) (*token, *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[name]++
	if refused := s.burst(w, r); refused != nil {
		return nil, refused
	}
	text, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || text == "" {
		return nil, new(failed(http.StatusBadRequest, 6003, "Invalid request headers"))
	}
	known := s.tokens[text]
	switch {
	case known == nil:
		return nil, new(refuseToken(name, http.StatusUnauthorized))
	case known.revoked != 0:
		return nil, new(refuseToken(name, known.revoked))
	}
	return known, s.spend(w, &known.spent)
}

// refuseToken is the answer to a token that does not exist any more. Verifying the token always says so clearly.
func refuseToken(name string, status int) answer {
	switch {
	case name == OpVerify:
		return failed(http.StatusUnauthorized, 1000, "Invalid API Token")
	case status == http.StatusForbidden:
		return failed(http.StatusForbidden, 9109, "Invalid access token")
	}
	return failed(http.StatusUnauthorized, 10000, "Authentication error")
}

// spend counts a request. A request over the limit refuses it and all others of the next window.
func (s *Server) spend(w http.ResponseWriter, b *budget) *answer {
	now := s.now()
	if now.Sub(b.began) >= s.window {
		b.began, b.spent = now, 0
	}
	if now.Before(b.blocked) {
		b.over++
		return s.tooMany(w, b.blocked.Sub(now))
	}
	if b.spent >= s.limit {
		b.over++
		b.blocked = now.Add(s.window)
		return s.tooMany(w, s.window)
	}
	b.spent++
	s.writeLimits(w, s.limit-b.spent, b.began.Add(s.window).Sub(now))
	return nil
}

func (s *Server) writeLimits(w http.ResponseWriter, left int, reset time.Duration) {
	w.Header().Set("Ratelimit", fmt.Sprintf(`"default";r=%d;t=%d`, left, seconds(reset)))
	w.Header().Set("Ratelimit-Policy", fmt.Sprintf(`"default";q=%d;w=%d`, s.limit, seconds(s.window)))
}

func (s *Server) tooMany(w http.ResponseWriter, wait time.Duration) *answer {
	s.writeLimits(w, 0, wait)
	w.Header().Set("Retry-After", strconv.Itoa(seconds(wait)))
	return new(failed(http.StatusTooManyRequests, 971, "Please wait and consider throttling your request speed"))
}

// seconds rounds up, so that nobody comes too early.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// Spent returns how many requests with the token of an account were answered in its present window, and how many
// were refused because of the limit since the start.
func (s *Server) Spent(account string) (answered, refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		if a.name == account {
			return a.token.spent.spent, a.token.spent.over
		}
	}
	return 0, 0
}
