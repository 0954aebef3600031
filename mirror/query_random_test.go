package mirror_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

// randomQuery returns a query, and what it selects.
func randomQuery(random *rand.Rand) (q nawasync.Query, keep func(listed) bool) {
	q.Where, q.From, q.To, q.Prefix, q.Contains = map[string]any{}, map[string]any{}, map[string]any{}, map[string]string{}, map[string]any{}
	var all []func(listed) bool
	text := func() string { return listedTexts[random.IntN(len(listedTexts))] }
	conditions := []func(){
		func() {
			list := []string{text(), text(), text()}[:1+random.IntN(3)]
			q.Where["label"] = list
			all = append(all, func(r listed) bool { return r.Label != nil && slices.Contains(list, *r.Label) })
		},
		func() {
			q.Where["size"] = nil
			all = append(all, func(r listed) bool { return r.Size == nil })
		},
		func() {
			q.Where["active"] = true
			all = append(all, func(r listed) bool { return r.Active })
		},
		func() {
			list := []float64{0.25, 0.5, 3}
			q.Where["ratio"] = list
			all = append(all, func(r listed) bool { return slices.Contains(list, r.Ratio) })
		},
		func() {
			from := time.Date(2026, 1, 1, 0, 0, 0, 500_000_000, time.FixedZone("", 3600)).Add(time.Hour)
			q.From["since"], q.To["since"] = from, from.Add(time.Second)
			all = append(all, func(r listed) bool { return r.Since != nil && !r.Since.Before(from) && r.Since.Before(from.Add(time.Second)) })
		},
		func() {
			from := random.IntN(4) - 2
			q.From["size"] = from
			all = append(all, func(r listed) bool { return r.Size != nil && *r.Size >= int64(from) })
		},
		func() {
			to := text()
			q.To["kind"] = to
			all = append(all, func(r listed) bool { return r.Kind < to })
		},
		func() {
			prefix := text()
			q.Prefix["label"] = prefix
			all = append(all, func(r listed) bool { return prefix == "" || r.Label != nil && strings.HasPrefix(*r.Label, prefix) })
		},
		func() {
			tag := text()
			q.Contains["tags"] = tag
			all = append(all, func(r listed) bool { return slices.Contains(r.Tags, tag) })
		},
		func() {
			code := 1<<53 + random.IntN(3)
			q.Contains["codes"] = code
			all = append(all, func(r listed) bool { return slices.Contains(r.Codes, int64(code)) })
		},
		func() {
			value := []any{"a", "b", 1.5, true, false, 2, "1.5"}[random.IntN(7)]
			q.Contains["doc"] = value
			all = append(all, func(r listed) bool {
				list, _ := r.Doc.([]any)
				return slices.ContainsFunc(list, func(item any) bool { return fmt.Sprintf("%T %v", item, item) == fmt.Sprintf("%T %v", asJSON(value), value) })
			})
		},
	}
	for _, i := range random.Perm(len(conditions))[:random.IntN(3)] {
		conditions[i]()
	}
	names := []string{"kind", "ratio", "size", "since", "remark", "name"}
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:random.IntN(4)]
	if random.IntN(5) == 0 {
		names = append(names, "id")
	}
	for i := range names {
		if random.IntN(2) == 0 {
			names[i] = "-" + names[i]
		}
	}
	q.Sort = strings.Join(names, ",")
	return q, func(r listed) bool { return !slices.ContainsFunc(all, func(f func(listed) bool) bool { return !f(r) }) }
}

// asJSON returns a value with the type that it has in a document.
func asJSON(value any) any {
	if n, ok := value.(int); ok {
		return float64(n)
	}
	return value
}

func TestRandomListsPageBothWaysLikeAPlainLookAtTheRows(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		table := newListedTable(t, db)
		selected := 0
		for seed := range uint64(3) {
			random := rand.New(rand.NewPCG(seed, 18))
			enginetest.NoError(t, table.db.Exec("DELETE FROM listed").Error)
			table.fill(random, 40)
			for range 25 {
				q, keep := randomQuery(random)
				want := table.sorted(q.Sort, keep)
				selected += len(want)
				q.Limit, q.Total = 1+random.IntN(15), -1
				table.walk(q, listedIDs(want))
				if t.Failed() {
					t.Fatalf("seed %d: %+v", seed, q)
				}
			}
		}
		if selected < 300 {
			t.Errorf("the queries selected %d rows in all; the test shows too little", selected)
		}
	})
}

// walk reads all pages forward, back to the first and forward again, and compares them with the ids.
func (l *listedTable) walk(q nawasync.Query, want []uint64) {
	l.t.Helper()
	var pages [][]uint64
	list := func() nawasync.ListResult[listed] {
		page, err := l.List(l.t.Context(), q)
		enginetest.NoError(l.t, err)
		return page
	}
	if _, err := l.List(l.t.Context(), q); len(want) == 0 && errors.Is(err, nawasync.ErrInvalid) && strings.Contains(err.Error(), "contradict") {
		return
	}
	page := list()
	if page.Total != int64(len(want)) || page.Prev != "" {
		l.t.Errorf("the first page has total %d and Prev %q, want %d and none", page.Total, page.Prev, len(want))
	}
	for {
		pages = append(pages, listedIDs(page.Items))
		if page.Next == "" {
			break
		}
		q.After = page.Next
		page = list()
	}
	if got := slices.Concat(pages...); !slices.Equal(got, want) {
		l.t.Errorf("forward: rows %v, want %v", pages, want)
		return
	}
	q.After = ""
	for i := len(pages) - 2; i >= 0; i-- {
		q.Before = page.Prev
		page = list()
		if got := listedIDs(page.Items); !slices.Equal(got, pages[i]) || (page.Prev == "") != (i == 0) {
			l.t.Errorf("back to page %d: rows %v and Prev %q, want %v", i, got, page.Prev, pages[i])
			return
		}
		q.Before, q.After = "", page.Next
		if got := listedIDs(list().Items); !slices.Equal(got, pages[i+1]) {
			l.t.Errorf("forward again from page %d: rows %v, want %v", i, got, pages[i+1])
		}
		q.After = ""
	}
}

func TestRowsAddedAndDeletedBetweenPagesShiftNoOthers(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		table := newListedTable(t, db)
		for seed := range uint64(3) {
			random := rand.New(rand.NewPCG(seed, 19))
			enginetest.NoError(t, table.db.Exec("DELETE FROM listed").Error)
			table.fill(random, 40)
			sort := []string{"kind,-size", "-remark,ratio", "since"}[seed]
			stays := table.sorted(sort, func(r listed) bool { return r.ID%3 != 0 })
			go2 := table.sorted(sort, func(r listed) bool { return r.ID%3 == 0 })
			change := func() { // deletes a row, and adds one that sorts anywhere
				if len(go2) > 0 {
					enginetest.NoError(t, table.db.Exec("DELETE FROM listed WHERE id = ?", go2[0].ID).Error)
					go2 = go2[1:]
				}
				table.insert(&listed{Tenant: "one", Name: fmt.Sprintf("added-%d-%d", seed, random.Int64()), Kind: listedTexts[random.IntN(4)], Size: new(int64(1))}, false)
			}
			forward, page := table.stable(nawasync.Query{Sort: sort, Limit: 4}, false, stays, change)
			back, _ := table.stable(nawasync.Query{Sort: sort, Limit: 4, Before: page.Prev}, true, stays, change)
			for _, row := range page.Items {
				if slices.Contains(listedIDs(stays), row.ID) {
					back = append(back, row.ID)
				}
			}
			if want := listedIDs(stays); !slices.Equal(forward, want) || !slices.Equal(back, want) {
				t.Errorf("seed %d, sorted by %s: the rows that stay are\n%v forward and\n%v back, want\n%v", seed, sort, forward, back, want)
			}
		}
	})
}

// stable reads all pages in one direction with a change after each. It returns the ids of the rows that stay, and
// the last page that it read.
func (l *listedTable) stable(q nawasync.Query, backward bool, stays []listed, change func()) (ids []uint64, page nawasync.ListResult[listed]) {
	l.t.Helper()
	wanted := listedIDs(stays)
	for range 100 {
		var err error
		page, err = l.List(l.t.Context(), q)
		enginetest.NoError(l.t, err)
		var found []uint64
		for _, row := range page.Items {
			if slices.Contains(wanted, row.ID) {
				found = append(found, row.ID)
			}
		}
		if q.After = page.Next; backward {
			q.After, q.Before, ids = "", page.Prev, append(found, ids...)
		} else {
			ids = append(ids, found...)
		}
		if q.After+q.Before == "" {
			return ids, page
		}
		change()
	}
	l.t.Fatal("the pages do not end")
	return nil, page
}

func TestAPageWhoseRowsAreGoneLeadsToItsNeighbours(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		table := newListedTable(t, db)
		table.fill(rand.New(rand.NewPCG(1, 20)), 6)
		q := nawasync.Query{Sort: "name", Limit: 3}
		first, err := table.List(t.Context(), q)
		enginetest.NoError(t, err)
		q.After = first.Next
		second, err := table.List(t.Context(), q)
		enginetest.NoError(t, err)
		enginetest.NoError(t, table.db.Exec("DELETE FROM listed WHERE id IN ?", listedIDs(second.Items)).Error)
		empty, err := table.List(t.Context(), q)
		enginetest.NoError(t, err)
		q.After, q.Before = "", empty.Prev
		back, err := table.List(t.Context(), q)
		enginetest.NoError(t, err)
		if len(empty.Items) != 0 || empty.Next != "" || !slices.Equal(listedIDs(back.Items), listedIDs(first.Items)) {
			t.Errorf("the empty page has %d rows and Next %q, and the page before it rows %v; want none and %v",
				len(empty.Items), empty.Next, listedIDs(back.Items), listedIDs(first.Items))
		}
	})
}
