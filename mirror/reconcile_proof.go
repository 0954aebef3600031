package mirror

import (
	"errors"
	"fmt"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// checkProof sets the level that the listing proves. It returns an error if the listing's own
// figures show that it is incomplete, or if too many objects could not be stored.
func (s *reconcile) checkProof() error {
	var problem string
	total := s.total
	switch {
	case s.proof == nil:
		problem = "the listing ended without a single page"
	case tooManyRefused(s.result.Refused, s.listed):
		problem = fmt.Sprintf("%d of %d objects could not be stored, for example: %s", s.result.Refused, s.listed, s.result.Refusals[0])
	case s.place.unproven:
		s.result.Proof, s.result.ProofNote = ProofNone.String(), "the listing was resumed, and what it had seen before was too large to be stored"
		return nil
	case s.proof.Level == ProofNone && total > 0:
		problem = fmt.Sprintf("the listing ended before its last page: the server counts %d objects and %d different objects were listed", total, s.distinct())
	case total > 0 && !s.totalChanged && s.repeated() == 0 && (s.distinct() < total || s.distinct() > total && !s.wasResumed()):
		problem = fmt.Sprintf("the listing is incomplete: the server counts %d objects and %d different objects were listed"+
			" (if the server counts something else than it lists, the adapter must use ProofExhausted without a total)", total, s.distinct())
	default:
		s.level, s.result.ProofNote = s.levelOf()
		s.result.Proof = s.level.String()
		return nil
	}
	return fault.WithClass(fault.ClassTransient, errors.New(problem+"; the listed objects were stored, nothing was deleted"))
}

// levelOf returns what the listing shows. If that is less than the remote claims, or the listing was
// resumed, note says why.
func (s *reconcile) levelOf() (level ProofLevel, note string) {
	level = s.proof.Level
	switch {
	case level == ProofCounted && s.total == 0 && s.listed > 0:
		return ProofNone, "the remote claims ProofCounted without a total, which proves nothing"
	case level >= ProofExhausted && s.wasResumed():
		return ProofExhausted, "the listing was resumed, and may have missed what changed meanwhile"
	case level <= ProofExhausted:
		return level, ""
	case level == ProofCounted && s.total == 0:
		return ProofExhausted, "the remote claims ProofCounted without a total"
	case level == ProofWhole && s.pages > 1:
		return ProofExhausted, fmt.Sprintf("the remote claims ProofWhole for a listing of %d pages", s.pages)
	case s.totalChanged:
		return ProofExhausted, "the server's count of objects changed during the listing"
	case s.repeated() > 0:
		return ProofExhausted, fmt.Sprintf("%d objects were listed more than once", s.repeated())
	}
	return min(level, ProofWhole), ""
}

// wasResumed reports whether the listing was put together from parts of different times.
func (s *reconcile) wasResumed() bool { return s.place.resumed || s.place.expired > 0 }

// distinct returns the number of different objects in the listing, including those that could not
// be stored.
func (s *reconcile) distinct() int64 {
	return s.seen.Len() + int64(len(s.unmatchedKeys)) + s.added + s.unkeyed
}

// repeated returns how many of the listed objects had a key that was listed before.
func (s *reconcile) repeated() int64 { return max(0, s.listed-s.distinct()) }

// tooManyRefused reports whether so many objects could not be stored that the run fails: at least
// 10, and more than 1 % of the listed objects.
func tooManyRefused(refused, listed int64) bool { return refused >= 10 && refused*100 > listed }

// These limits keep the names of refused objects short enough to be stored in a job's result.
const (
	maxRefusals     = 20
	maxRefusalBytes = 300
)

// addRefused counts objects that could not be stored, and names the first ones in the result and
// in the job's log. unkeyed is how many of them have no key in the scope.
func (s *reconcile) addRefused(list []string, unkeyed int64) {
	s.unkeyed += unkeyed
	s.result.Refused += int64(len(list))
	for _, text := range list[:min(len(list), maxRefusals-len(s.result.Refusals))] {
		text = shorten(text)
		s.result.Refusals = append(s.result.Refusals, text)
		if s.attempt != nil {
			s.attempt.Logf("not stored: %s", text)
		}
	}
}

// shorten cuts the reason why an object could not be stored or confirmed.
func shorten(text string) string { return sqlkit.CleanText(text, maxRefusalBytes) }
