package admin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/host"
)

// shown returns how many jobs the preview shows: their number, or the word for all if the preview did not
// read all of them.
func (v *bulkView) shown() string {
	if v.incomplete {
		return v.T("all")
	}
	return strconv.FormatInt(v.matching, 10)
}

// confirmation returns what the operator must type to confirm, or "".
func (v *bulkView) confirmation() string {
	if v.incomplete || v.matching > confirmAbove[v.action] {
		return v.shown()
	}
	return ""
}

// confirmed returns how many jobs the operator has confirmed, which the run does not exceed. The parameter
// shown is what the preview has shown, or "" if that is unknown. ok is false if more jobs match now, as far as
// they were counted, or if the text that was typed is neither what the preview has shown nor the number of now
// or up to a tenth more. Whether the count was complete is not asked: it may take too long at one time and
// not at another.
func (v *bulkView) confirmed(typed, shown string) (most int64, ok bool) {
	free := confirmAbove[v.action]
	if all := v.T("all"); strings.EqualFold(typed, all) {
		return math.MaxInt64, v.incomplete || shown == all
	}
	if !v.incomplete && v.matching <= free {
		return free, true
	}
	if typed == "" { // the preview asked for nothing
		n, err := strconv.ParseInt(shown, 10, 64)
		return free, err == nil && n <= free && v.matching <= free
	}
	n, err := strconv.ParseInt(typed, 10, 64)
	if err != nil || n < v.matching {
		return 0, false
	}
	return n, typed == shown || !v.incomplete && n <= v.matching+v.matching/10
}

// confirmedMost returns how many jobs the form of a preview has confirmed, or an error that says what to type.
func (v *bulkView) confirmedMost(ctx context.Context, typed, shown, proof string) (int64, error) {
	want, err := v.proofOf(ctx, shown)
	if err != nil {
		return 0, readError{err}
	}
	if !hmac.Equal([]byte(proof), []byte(want)) {
		shown = ""
	}
	most, ok := v.confirmed(typed, shown)
	if !ok && v.incomplete {
		return 0, &refusedError{text: v.Tf("Type “%s” to confirm, because there are too many jobs to count. The number may have changed since the preview.", v.T("all"))}
	}
	if !ok {
		return 0, &refusedError{text: v.Tf("Type %d, the number of jobs, to confirm. It may have changed since the preview.", v.matching)}
	}
	return most, nil
}

// proofOf returns a text that proves to every process that a preview has shown a number of jobs to this
// operator. Without it, a form could name any number that its sender has typed.
func (v *bulkView) proofOf(ctx context.Context, shown string) (string, error) {
	key, err := v.h.proofKey(ctx)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(key))
	parts := []string{v.viewer.subject, v.action, v.queryText, v.previewedAt.UTC().Format(time.RFC3339Nano), strconv.FormatInt(v.lastJobID, 10), shown}
	if err := json.NewEncoder(mac).Encode(parts); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// proofKey returns the random key of all processes with this database. It protects operators from their own
// mistakes only, so that it need not be sealed: who reads it can do nothing without the permission.
func (h *handler) proofKey(ctx context.Context) (string, error) {
	if key := h.proof.Load(); key != nil {
		return *key, nil
	}
	key, err := h.engine.Internals(host.NewKey()).Store().Setting(ctx, "preview_key", rand.Text())
	if err == nil {
		h.proof.Store(&key)
	}
	return key, err
}
