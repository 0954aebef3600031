package dns

import (
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/remote"
)

// pageOf returns a page of Cloudflare as one of the sync. The total is Cloudflare's: an answer without one proves nothing,
// and a total of 0 says that the list was read to its end.
func pageOf[A, T any](page remote.Page[A], convert func(A) T) mirror.Page[T] {
	out := mirror.Page[T]{Cursor: page.Next}
	for _, item := range page.Items {
		out.Items = append(out.Items, convert(item))
	}
	switch {
	case page.Total == nil:
	case *page.Total == 0:
		out.Proof.Level = mirror.ProofExhausted
	default:
		out.Proof = mirror.Proof{Level: mirror.ProofCounted, Total: *page.Total}
	}
	return out
}
