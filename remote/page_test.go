package remote_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/nawasara/nawasync/remote"
)

// listing is a server's list of the numbers from 1 on.
type listing struct {
	size, limit int  // of the list, and of a page
	total       bool // the server tells the total
	pages       bool // the server tells the number of pages
	stuck       bool // the server ignores where the page begins
	calls       int
}

func (l *listing) page(offset int) (remote.Page[int], error) {
	l.calls++
	if l.stuck {
		offset = 0
	}
	var p remote.Page[int]
	for n := offset; n < min(l.size, offset+l.limit); n++ {
		p.Items = append(p.Items, n+1)
	}
	if l.total {
		p.Total = new(int64(l.size))
	}
	if l.pages {
		p.Pages = (l.size + l.limit - 1) / l.limit
	}
	return p, nil
}

func (l *listing) byNumber(number int) (remote.Page[int], error) {
	return l.page((number - 1) * l.limit)
}

func (l *listing) byCursor(cursor string) (remote.Page[int], error) {
	offset, _ := strconv.Atoi(cursor)
	p, err := l.page(offset)
	if offset+l.limit < l.size {
		p.Next = strconv.Itoa(offset + l.limit)
	}
	if l.stuck {
		p.Next = cursor + "0"
		if len(cursor) > 0 {
			p.Next = cursor
		}
	}
	return p, err
}

func TestPagesReachTheEndOfAListing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		listing                   listing
		number, offset, cursor    int // calls
		fromNumber3, fromOffset20 int
	}{
		"without totals":          {listing{size: 25, limit: 10}, 4, 4, 3, 2, 2},
		"with a total":            {listing{size: 25, limit: 10, total: true}, 3, 3, 3, 2, 2},
		"with pages":              {listing{size: 25, limit: 10, pages: true}, 3, 4, 3, 1, 2},
		"full pages and a total":  {listing{size: 30, limit: 10, total: true}, 3, 3, 3, 2, 2},
		"an empty list":           {listing{limit: 10, total: true, pages: true}, 1, 1, 1, 1, 1},
		"an empty list, no total": {listing{limit: 10}, 1, 1, 1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []int
			for n := range c.listing.size {
				all = append(all, n+1)
			}
			check := func(how string, want []int, calls int, l *listing, seq func(func(remote.Page[int], error) bool)) {
				var got []int
				for page, err := range seq {
					noError(t, err)
					got = append(got, page.Items...)
				}
				if !slices.Equal(got, want) || l.calls != calls {
					t.Errorf("%s: %v after %d calls, want %v after %d", how, got, l.calls, want, calls)
				}
				l.calls = 0
			}
			l := &c.listing
			rest := all[min(20, len(all)):]
			check("by number", all, c.number, l, remote.PagesByNumber("", l.byNumber))
			check("by offset", all, c.offset, l, remote.PagesByOffset("", l.page))
			check("by cursor", all, c.cursor, l, remote.PagesByCursor("", l.byCursor))
			check("from page 3", rest, c.fromNumber3, l, remote.PagesByNumber("3", l.byNumber))
			check("from offset 20", rest, c.fromOffset20, l, remote.PagesByOffset("20", l.page))
		})
	}
}

func TestPagesSayWhereTheListingGoesOn(t *testing.T) {
	t.Parallel()
	next := func(seq func(func(remote.Page[int], error) bool)) (list []string) {
		for page, err := range seq {
			noError(t, err)
			list = append(list, page.Next)
		}
		return list
	}
	l := &listing{size: 25, limit: 10, total: true}
	for want, seq := range map[string]func(func(remote.Page[int], error) bool){
		"2 3 ": remote.PagesByNumber("", l.byNumber), "10 20 ": remote.PagesByOffset("", l.page), "10 20": remote.PagesByCursor("", l.byCursor),
	} {
		got := next(seq)
		if joined := got[0] + " " + got[1] + " " + got[2]; joined != want && joined != want+" " {
			t.Errorf("Next %q, want %q", got, want)
		}
	}
}

func TestPagesEndWithAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	stuck := &listing{size: 25, limit: 10, stuck: true}
	failing := func(at int) (remote.Page[int], error) {
		if at > 1 {
			return remote.Page[int]{}, broken
		}
		return (&listing{size: 25, limit: 10}).page(at)
	}
	for name, seq := range map[string]func(func(remote.Page[int], error) bool){
		"the second page fails": remote.PagesByNumber("", failing), "offset fails": remote.PagesByOffset("", failing),
		"the same page":   remote.PagesByNumber("", stuck.byNumber),
		"the same offset": remote.PagesByOffset("", stuck.page),
		"the same cursor": remote.PagesByCursor("", stuck.byCursor),
		"not a page":      remote.PagesByNumber("0", stuck.byNumber),
		"not a number":    remote.PagesByOffset("x", stuck.page),
	} {
		var last error
		n := 0
		for _, err := range seq {
			last = err
			n++
		}
		if last == nil || n > 3 {
			t.Errorf("%s: %d pages and the error %v, want an error after at most two pages", name, n, last)
		}
	}
}

// While a list is read, another client creates an object that stands before the others.
func TestPageThatComesAgainBecauseOfANewObjectIsNoError(t *testing.T) {
	t.Parallel()
	objects := []int{5, 6, 7}
	var got []int
	for page, err := range remote.PagesByOffset("", func(offset int) (page remote.Page[int], err error) {
		page.Items = slices.Clone(objects[offset:min(offset+2, len(objects))])
		if offset == 2 {
			objects = slices.Insert(objects, 0, 1)
		}
		return page, nil
	}) {
		noError(t, err)
		got = append(got, page.Items...)
	}
	if want := []int{5, 6, 7, 7}; !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}
