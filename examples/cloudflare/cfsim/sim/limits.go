package sim

import (
	"fmt"
	"math"
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

// admit finds the account of a token and counts the call. It returns the answer that refuses the call, or nil.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, name string) (*account, *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[name]++
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || token == "" {
		return nil, new(failed(http.StatusBadRequest, 6003, "Invalid request headers"))
	}
	for _, a := range s.accounts {
		if a.token != token {
			continue
		}
		if a.revoked != 0 {
			return nil, new(refuseToken(name, a.revoked))
		}
		return a, s.spend(w, &a.spent)
	}
	return nil, new(refuseToken(name, http.StatusUnauthorized))
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

// Spent returns how many requests of an account were answered, and how many were refused because of the limit.
func (s *Server) Spent(account string) (answered, refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		if a.name == account {
			return a.spent.spent, a.spent.over
		}
	}
	return 0, 0
}
