package tracker

import "fmt"

// The limits of a Search. A search with more would read each job for a long time.
const (
	// MaxTerms is the largest number of terms.
	MaxTerms = 20
	// MaxTermValues is the largest number of values of a term, and of all terms of FieldError and
	// FieldText together. A term of FieldID may have MaxTermIDs values.
	MaxTermValues = 20
	// MaxTermIDs is the largest number of values of a term of FieldID.
	MaxTermIDs = 1000
)

// checkSize returns an error if the search has more terms or values than the limits allow.
func (q Search) checkSize() error {
	if len(q.Terms) > MaxTerms {
		return fmt.Errorf("search jobs: the search has %d terms; the maximum is %d", len(q.Terms), MaxTerms)
	}
	texts := 0
	for _, t := range q.Terms {
		most := MaxTermValues
		if t.Field == FieldID {
			most = MaxTermIDs
		}
		if len(t.Values) > most {
			return fmt.Errorf("search jobs: a term of %s has %d values; the maximum is %d", t.Field, len(t.Values), most)
		}
		if t.Field.isText() {
			texts += len(t.Values)
		}
	}
	if texts > MaxTermValues {
		return fmt.Errorf("search jobs: the terms of error and text have %d values in all; the maximum is %d", texts, MaxTermValues)
	}
	return nil
}

// isText reports whether a term of the field searches in texts, which takes long.
func (f Field) isText() bool { return f == FieldError || f == FieldText }
