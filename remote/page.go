package remote

import (
	"fmt"
	"iter"
	"reflect"
	"strconv"

	"github.com/nawasara/nawasync/fault"
)

// Page is one page of a listing, as the API sends it. T is an object of the wire.
type Page[T any] struct {
	Items []T
	// Total is the number of objects in the whole listing, as the server says; nil if the answer has none.
	Total *int64
	// Pages is the number of pages, as the server says; 0 if it does not. Only PagesByNumber uses it.
	Pages int
	// Next is where the listing goes on after this page: the number of the next page, its offset or its cursor.
	// "" is the end. PagesByNumber and PagesByOffset set it.
	Next string
}

// PagesByNumber yields the pages of a listing that is asked for by page number. from is "" for page 1, or
// the Next of an earlier page, where the listing goes on. fetch requests one page.
//
// The listing ends with the last page that Page.Pages or Page.Total tells; without them, with an empty page,
// because a page with fewer objects than asked for may only be the server's limit. An error of fetch is
// yielded and ends the listing, as does a server that answers the same page three times in a row.
func PagesByNumber[T any](from string, fetch func(number int) (Page[T], error)) iter.Seq2[Page[T], error] {
	return pages(from, 1, func(number, _ int) int { return number + 1 }, fetch)
}

// PagesByOffset is PagesByNumber for a listing that is asked for by the number of objects before the page.
// The next offset is behind the objects that were received, of which there may be fewer than asked for.
func PagesByOffset[T any](from string, fetch func(offset int) (Page[T], error)) iter.Seq2[Page[T], error] {
	return pages(from, 0, func(offset, received int) int { return offset + received }, func(offset int) (Page[T], error) {
		page, err := fetch(offset)
		page.Pages = 0
		return page, err
	})
}

// maxRepeated is how often in a row a page may be the same as the one before. Objects that are created while the list is
// read shift the others: a page of one object then comes again although the server does what it was asked for.
const maxRepeated = 2

func pages[T any](from string, first int, next func(at, received int) int, fetch func(at int) (Page[T], error)) iter.Seq2[Page[T], error] {
	return func(yield func(Page[T], error) bool) {
		at, err := startOf(from, first)
		if err != nil {
			yield(Page[T]{}, err)
			return
		}
		received, whole, repeated := int64(0), at == first, 0
		var previous []T
		for {
			page, err := fetch(at)
			if err == nil && len(page.Items) > 0 && reflect.DeepEqual(page.Items, previous) {
				if repeated++; repeated == maxRepeated {
					err = errSamePage(strconv.Itoa(at))
				}
			} else {
				repeated = 0
			}
			if err != nil {
				yield(Page[T]{}, err)
				return
			}
			received += int64(len(page.Items))
			last := len(page.Items) == 0 || page.Pages > 0 && at >= page.Pages ||
				page.Pages == 0 && whole && page.Total != nil && received >= *page.Total
			at, previous = next(at, len(page.Items)), page.Items
			if page.Next = strconv.Itoa(at); last {
				page.Next = ""
			}
			if !yield(page, nil) || last {
				return
			}
		}
	}
}

func startOf(from string, first int) (int, error) {
	if from == "" {
		return first, nil
	}
	at, err := strconv.Atoi(from)
	if err != nil || at < first {
		return 0, fault.WithClass(fault.ClassPermanent, fmt.Errorf("list from %.40q: this is not where a page begins", from))
	}
	return at, nil
}

// PagesByCursor yields the pages of a listing in which each answer names the next page. from is "" for the
// first page, or the Next of an earlier page, where the listing goes on. fetch requests one page and sets
// its Next. The listing ends with a page without a Next; an empty page does not end it. An error of fetch is
// yielded and ends the listing, as does a server that answers with the cursor that it was asked for.
func PagesByCursor[T any](from string, fetch func(cursor string) (Page[T], error)) iter.Seq2[Page[T], error] {
	return func(yield func(Page[T], error) bool) {
		for cursor := from; ; {
			page, err := fetch(cursor)
			if err == nil && page.Next != "" && page.Next == cursor {
				err = errSamePage(cursor)
			}
			if err != nil {
				yield(Page[T]{}, err)
				return
			}
			if !yield(page, nil) || page.Next == "" {
				return
			}
			cursor = page.Next
		}
	}
}

func errSamePage(at string) error {
	return &fault.Error{
		Class: fault.ClassPermanent, Hint: "check how the API is asked for the next page",
		Err: fmt.Errorf("list from %.40q: the server answers the same page again", at),
	}
}
