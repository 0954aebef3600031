package mirror

import (
	"iter"

	"github.com/nawasara/nawasync/remote"
)

// Pages turns the pages of a listing, as package remote iterates them, into those of a Lister. convert makes
// a row of an object of the API. level is what the API promises: ProofCounted if its answers have a total,
// which must then be in the last one; ProofExhausted if it pages without totals; ProofWhole if one answer
// has everything. Set resumable in ListFrom, so that each page says where the listing goes on after it.
func Pages[W, T any](list iter.Seq2[remote.Page[W], error], level ProofLevel, resumable bool, convert func(W) T) iter.Seq2[Page[T], error] {
	return func(yield func(Page[T], error) bool) {
		for page, err := range list {
			out := Page[T]{Proof: Proof{Level: level}}
			for _, item := range page.Items {
				out.Items = append(out.Items, convert(item))
			}
			if page.Total != nil {
				out.Proof.Total = *page.Total
			}
			if resumable {
				out.Cursor = page.Next
			}
			if !yield(out, err) || err != nil {
				return
			}
		}
	}
}
